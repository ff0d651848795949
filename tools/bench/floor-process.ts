import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import express from 'express';
import { answerParent } from '../fleet/child.ts';
import { Driver } from './driver.ts';

type Body = typeof import('../../src/http/body.ts');
type Wire = typeof import('../../src/http/wire.ts');

const MAX_BODY_BYTES = 262_144;

/** The functions of the bare app's process. */
export const floorAnswers = {
  /**
   * Starts Express with only the service's own body parser, compiled into `dist`. With a node, each request also reads the node's
   * process list and ends the first requested session without any check. Resolves to the port.
   */
  async start(dist: string, nodePort?: number): Promise<number> {
    const load = async (file: string): Promise<unknown> =>
      import(pathToFileURL(join(dist, 'http', file)).href);
    const { readBody, requireJsonObject } = (await load('body.js')) as Body;
    const { sendJson } = (await load('wire.js')) as Wire;
    const driver = nodePort === undefined ? undefined : await Driver.connect(nodePort);
    const app = express();
    app.disable('etag');
    app.delete(
      '/v3/:project_id/instances/:instance_id/nodes/:node_id/processes',
      readBody(MAX_BODY_BYTES),
      (req, _res, next) => {
        requireJsonObject(req);
        next();
      },
      async (req, res) => {
        const { processes } = req.body as { processes: bigint[] };
        // During a warm-up, no session has the id.
        await driver?.listAndKill(Number(processes[0])).catch(() => undefined);
        sendJson(res, 200, { processes_killed: processes, processes_not_found: [] });
      },
    );
    const server = createServer(app as RequestListener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
};

answerParent(floorAnswers);
