import { once } from 'node:events';
import { createServer, request as send, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, it } from '@jest/globals';
import { limitConcurrency } from '../../src/http/admission.ts';
import { meterAdmitted, meterRequests } from '../../src/http/metering.ts';
import { createMetrics, type Metrics } from '../../src/metrics/metrics.ts';
import { noCounts } from '../../src/mysql/pool/node-health.ts';
import { until } from '../support/until.ts';

describe('the metrics of a service that handles one request at a time', () => {
  let server: Server;
  let metrics: Metrics;
  let answers: (() => void)[];

  beforeEach(async () => {
    answers = [];
    metrics = createMetrics({
      nodes: () => 0,
      counts: noCounts,
      lostLogLines: () => 0,
      isAuditWritable: undefined,
    });
    const app = meterAdmitted((_req, res) => {
      answers.push(() => res.end());
    }, metrics.requests);
    const admission = {
      most: 1,
      places: 1,
      mostWhenBusy: 1,
      requestTimeoutMs: 30_000,
      log: { log: () => undefined },
    };
    server = createServer(meterRequests(limitConcurrency(app, admission), metrics.requests)).listen(
      0,
    );
    await once(server, 'listening');
  });
  afterEach(async () => {
    for (const answer of answers) answer();
    server.close();
    await once(server, 'close');
  });

  function get() {
    const { port } = server.address() as AddressInfo;
    return send({ port, agent: false })
      .on('error', () => undefined)
      .end();
  }

  /** Waits until the series has the value. */
  async function shows(series: string, value: number): Promise<void> {
    await until(`${series} is ${value}`, async () =>
      (await metrics.text()).split('\n').includes(`session_control_${series} ${value}`),
    );
  }

  it('count requests in progress, waiting requests and refused requests', async () => {
    get();
    await shows('requests_in_progress{state="under_way"}', 1);
    get();
    await shows('requests_in_progress{state="waiting_for_admission"}', 1);
    await shows('refused_requests_total{reason="service_full"}', 1);
    await shows('requests_in_progress{state="waiting_for_admission"}', 0);
    await shows('requests_total{method="GET",route="other",status="503"}', 1);

    answers[0]?.();
    await shows('requests_in_progress{state="under_way"}', 0);
    await shows('requests_total{method="GET",route="other",status="200"}', 1);
    await shows('stage_duration_seconds_count{stage="queue"}', 1);
  });

  it('measure how long an admitted request has waited', async () => {
    get();
    await shows('requests_in_progress{state="under_way"}', 1);
    get();
    await shows('requests_in_progress{state="waiting_for_admission"}', 1);
    // Wait for longer than the shortest bucket.
    const end = performance.now() + 20;
    await until('it has waited', () => performance.now() > end);
    answers[0]?.();
    await shows('stage_duration_seconds_bucket{le="0.01",stage="queue"}', 1);
    await shows('stage_duration_seconds_count{stage="queue"}', 2);
  });

  it('count a client that disconnects before its response, whether its request is in progress or waits', async () => {
    const working = get();
    await shows('requests_in_progress{state="under_way"}', 1);
    const waiting = get();
    await shows('requests_in_progress{state="waiting_for_admission"}', 1);
    waiting.destroy();
    await shows('requests_in_progress{state="waiting_for_admission"}', 0);
    working.destroy();
    await shows('requests_in_progress{state="under_way"}', 0);
    await shows('requests_total{method="GET",route="other",status="499"}', 2);
    await shows('refused_requests_total{reason="service_full"}', 0);
  });
});
