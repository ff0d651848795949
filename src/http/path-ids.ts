import { param } from 'express-validator';
import type { NodeKey } from '../domain/node.ts';
import type { ServiceError } from '../errors.ts';
import type { PathIds } from './chain.ts';
import { problem, type Check } from './validators.ts';

/** Returns the key of the node that a path names. */
export function nodeKey({ project_id, instance_id, node_id }: PathIds): NodeKey {
  return { projectId: project_id, instanceId: instance_id, nodeId: node_id };
}

/** Checks the project id. */
export const projectId = pathId(
  'project_id',
  /^[A-Za-z0-9]{32}$/,
  problem(
    'parameter_wrong',
    'project_id must be exactly 32 letters and digits.',
    'project_id必须为32位字母和数字。',
  ),
);

/** Checks the instance id, then the node id. */
export const nodeIds: readonly Check[] = [
  pathId(
    'instance_id',
    /^[A-Za-z0-9]{32}in07$/,
    problem(
      'id_malformed',
      'instance_id must be exactly 36 letters and digits and end in in07.',
      'instance_id必须为36位字母和数字，并以in07结尾。',
    ),
  ),
  pathId(
    'node_id',
    /^[A-Za-z0-9]{32}no07$/,
    problem(
      'id_malformed',
      'node_id must be exactly 36 letters and digits and end in no07.',
      'node_id必须为36位字母和数字，并以no07结尾。',
    ),
  ),
];

function pathId(name: keyof PathIds, form: RegExp, malformed: () => ServiceError): Check {
  return {
    chain: param(name, malformed).matches(form),
    concerns: ({ params }) => !form.test(params[name]),
  };
}
