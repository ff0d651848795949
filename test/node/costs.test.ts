import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server as TcpServer } from 'node:net';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FileAudit } from '../../src/audit/file-audit.ts';
import { LineFile } from '../../src/audit/line-file.ts';
import { MysqlNodes } from '../../src/mysql/mysql-nodes.ts';
import { openSessions, type ClientSession } from '../support/client-session.ts';
import { nodeOn, servers } from '../support/server.ts';
import { createService, type TestService } from '../support/service.ts';

// Unlike times, these counts do not depend on the machine. Each of them has cost milliseconds before.
describe.each(servers)('a kill on $flavour $version', (server) => {
  let line: Line;
  let nodes: MysqlNodes;
  let service: TestService;
  let audit: FileAudit;
  let folder: string;
  const opened: ClientSession[] = [];

  beforeEach(async () => {
    line = await Line.start(server.host, server.port);
    folder = mkdtempSync(join(tmpdir(), 'session-control-costs-'));
    audit = new FileAudit(new LineFile(join(folder, 'audit')), 1, () => undefined);
    nodes = new MysqlNodes();
    const node = nodeOn(server, { host: '127.0.0.1', port: line.port, tls: 'disabled' });
    service = createService({ registry: [node], nodes, audit });
    await service.list();
    line.reset();
    service.events.length = 0;
  });
  afterEach(async () => {
    nodes.close();
    line.close();
    await audit.close();
    rmSync(folder, { recursive: true });
    for (const session of opened.splice(0)) session.close();
  });

  async function kill(count: number): Promise<void> {
    opened.push(...(await openSessions(server, count)));
    const ids = opened.map(({ id }) => id);
    expect((await service.kill(ids)).body).toEqual({
      processes_killed: ids,
      processes_not_found: [],
    });
  }

  it('of one session takes two round trips over the open connection', async () => {
    await kill(1);
    expect([line.connections, line.turns]).toEqual([1, 2]);
    expect(line.statements()).toEqual([
      'SHOW PROCESSLIST',
      `KILL CONNECTION ${opened[0]?.id ?? 0n}`,
    ]);
  });

  it('of a hundred sessions takes one list and a few round trips', async () => {
    await kill(100);
    expect(line.connections).toBe(1);
    expect(line.statements().filter((sql) => sql.startsWith('SHOW'))).toHaveLength(1);
    expect(line.statements()).toHaveLength(101);
    // One KILL at a time would take a hundred round trips.
    expect(line.turns).toBeLessThanOrEqual(25);
  });

  it('writes two audit lines for a request, and a log line for it and for each session', async () => {
    await kill(100);
    const messages = service.events.map(({ message }) => message);
    expect(messages.filter((message) => message === 'kill')).toHaveLength(100);
    expect(messages.filter((message) => message === 'request')).toHaveLength(1);
    await audit.close();
    const lines = readFileSync(join(folder, 'audit'), 'utf8').trim().split('\n');
    const records = lines.map((text) => (JSON.parse(text) as { record: string }).record);
    expect(records).toEqual(['started', 'intent', 'outcome']);
  });

  it('has a response that fits one packet', async () => {
    opened.push(...(await openSessions(server, 1)));
    const { headers, body } = await service.kill(opened.map(({ id }) => id));
    const bytes = JSON.stringify(headers).length + JSON.stringify(body, textOf).length;
    expect(bytes).toBeLessThan(1400);
  });
});

function textOf(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** A TCP proxy that counts connections and round trips. */
class Line {
  connections = 1;
  turns = 0;
  readonly port: number;
  readonly #listener: TcpServer;
  #said: Buffer[] = [];
  #isServersTurn = false;

  static async start(host: string, port: number): Promise<Line> {
    const listener = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new Line(listener, host, port);
  }

  private constructor(listener: TcpServer, host: string, port: number) {
    this.port = (listener.address() as AddressInfo).port;
    this.#listener = listener.on('connection', (client) => {
      this.connections += 1;
      const server = connect({ host, port, noDelay: true });
      client.on('data', (data: Buffer) => {
        this.#said.push(data);
        this.#isServersTurn = true;
      });
      server.on('data', () => {
        if (this.#isServersTurn) this.turns += 1;
        this.#isServersTurn = false;
      });
      client.pipe(server).pipe(client);
      for (const socket of [client, server]) socket.on('error', () => undefined);
    });
  }

  reset(): void {
    [this.connections, this.turns, this.#said, this.#isServersTurn] = [1, 0, [], false];
  }

  /** Returns the client's statements in order. */
  statements(): string[] {
    const bytes = Buffer.concat(this.#said);
    const statements: string[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 4 + bytes.readUIntLE(at, 3);
      statements.push(bytes.toString('utf8', at + 5, end));
      at = end;
    }
    return statements;
  }

  close(): void {
    this.#listener.close();
  }
}
