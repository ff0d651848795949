import { param } from 'express-validator';
import type { NodeKey } from '../domain/node.ts';
import type { ServiceError } from '../errors.ts';
import { problem } from './validators.ts';

/** The validated ids of the path. */
export interface PathIds {
  readonly project_id: string;
  readonly instance_id: string;
  readonly node_id: string;
}

/** The node that a path names. */
export function nodeKey({ project_id, instance_id, node_id }: PathIds): NodeKey {
  return { projectId: project_id, instanceId: instance_id, nodeId: node_id };
}

const PATH_IDS: Readonly<Record<string, { form: RegExp; malformed: () => ServiceError }>> = {
  project_id: {
    form: /^[A-Za-z0-9]{32}$/,
    malformed: problem(
      'parameter_wrong',
      'project_id must be exactly 32 letters and digits.',
      'project_id必须为32位字母和数字。',
    ),
  },
  instance_id: {
    form: /^[A-Za-z0-9]{32}in07$/,
    malformed: problem(
      'id_malformed',
      'instance_id must be exactly 36 letters and digits and end in in07.',
      'instance_id必须为36位字母和数字，并以in07结尾。',
    ),
  },
  node_id: {
    form: /^[A-Za-z0-9]{32}no07$/,
    malformed: problem(
      'id_malformed',
      'node_id must be exactly 36 letters and digits and end in no07.',
      'node_id必须为36位字母和数字，并以no07结尾。',
    ),
  },
};

/** `project_id`, `instance_id` and `node_id` of the path. */
export const pathIds = param(Object.keys(PATH_IDS))
  .custom((value: string, { path }) => PATH_IDS[path]?.form.test(value))
  .withMessage((_value: unknown, { path }) => PATH_IDS[path]?.malformed());
