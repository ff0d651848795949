import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { servers, type Server } from './support/server.ts';
import { ServiceProcess } from './support/service-process.ts';

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Spec;
}

interface Spec {
  readonly serviceName: string;
  readonly selector: Readonly<Record<string, unknown>>;
  readonly podSelector: object;
  readonly clusterIP?: string;
  readonly ports: readonly { readonly port: number; readonly targetPort: string }[];
  readonly ingress: readonly { readonly ports: readonly { readonly port: string }[] }[];
  readonly egress: readonly { readonly ports: readonly { readonly port: number }[] }[];
  readonly policyTypes: readonly string[];
  readonly maxUnavailable: number;
  readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
  readonly template: {
    readonly metadata: { readonly labels: object };
    readonly spec: Pod;
  };
}

interface Pod {
  readonly automountServiceAccountToken: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: object;
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string }[];
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly securityContext: object;
  readonly resources: { readonly limits: { readonly memory: string } };
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: string[] } } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

const FILE = 'deploy/kubernetes/session-control.yaml';
const manifests = parseAllDocuments(readFileSync(FILE, 'utf8')).map((document) => {
  expect(document.errors).toEqual([]);
  return document.toJS() as Manifest;
});
const dockerfile = readFileSync('Dockerfile', 'utf8');
const example = readFileSync('config/service.yaml', 'utf8');

function find(kind: string, name = 'session-control'): Spec {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`${FILE} has no ${kind} ${name}`);
  return found.spec;
}

const set = find('StatefulSet');
const { labels } = set.template.metadata;
const pod = set.template.spec;
const [container] = pod.containers as [Container];

describe('the manifests for Kubernetes', () => {
  it('select the pods of the StatefulSet', () => {
    expect(set.selector).toEqual({ matchLabels: labels });
    expect(find('PodDisruptionBudget').selector).toEqual({ matchLabels: labels });
    expect(find('NetworkPolicy').podSelector).toEqual({ matchLabels: labels });
    for (const name of ['session-control', set.serviceName]) {
      expect(find('Service', name).selector).toEqual(labels);
    }
    expect(find('Service', set.serviceName).clusterIP).toBe('None');
  });

  it('give the container a read-only root, no capability, no token and no way to be root', () => {
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 1000,
      fsGroup: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container.resources.limits.memory).toBe('1Gi');
  });

  it('mount the configuration where the image reads it, and a volume of each replica for the audit', () => {
    const [, configFile = ''] = /CONFIG_FILE=(\S+)/.exec(dockerfile) ?? [];
    const [, auditFile = ''] = /^# {3}file: (\S+)/m.exec(example) ?? [];
    const paths = Object.fromEntries(
      container.volumeMounts.map(({ name, mountPath }) => [name, mountPath]),
    );
    expect(paths).toEqual({ configuration: dirname(configFile), audit: dirname(auditFile) });
    expect(pod.volumes.map(({ name }) => name)).toEqual(['configuration']);
    expect(set.volumeClaimTemplates.map(({ metadata }) => metadata.name)).toEqual(['audit']);
  });

  it('use the ports of the image and of the example, and admit them', () => {
    const [, exposed] = /^EXPOSE (\d+)/m.exec(dockerfile) ?? [];
    const [, metrics] = /metrics: \{ port: (\d+) \}/.exec(example) ?? [];
    const ports = Object.fromEntries(
      container.ports.map(({ name, containerPort }) => [name, containerPort]),
    );
    expect(ports).toEqual({ http: Number(exposed), metrics: Number(metrics) });
    for (const name of ['session-control', set.serviceName]) {
      for (const { port, targetPort } of find('Service', name).ports) {
        expect(ports[targetPort]).toBe(port);
      }
    }
    const { ingress, egress, policyTypes } = find('NetworkPolicy');
    expect(policyTypes).toEqual(['Ingress', 'Egress']);
    expect(ingress.flatMap((rule) => rule.ports.map(({ port }) => port))).toEqual(
      Object.keys(ports),
    );
    expect(egress.flatMap((rule) => rule.ports.map(({ port }) => port))).toEqual([
      53, 53, 3306, 33_062, 6379, 443,
    ]);
  });

  it('leave a pod the time that a stop may take, and a replica during a drain', () => {
    const [, limitMs] = /request_timeout_ms: (\d+)/.exec(example) ?? [];
    const [, pause] = container.lifecycle.preStop.exec.command;
    const longest = Number(limitMs) / 1000 + Number(pause);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(longest);
    expect(find('PodDisruptionBudget').maxUnavailable).toBe(1);
  });
});

describe('a probe of Kubernetes', () => {
  const [server] = servers as [Server];
  const service = new ServiceProcess();
  beforeAll(() => {
    service.configure(server, 'x');
    service.start({ NODE_PASSWORD: server.control.password });
  });
  afterAll(() => {
    service.remove();
  });

  it.each(['startupProbe', 'livenessProbe', 'readinessProbe'] as const)(
    'is answered by the service: %s',
    async (name) => {
      const { path, port } = container[name].httpGet;
      expect(port).toBe('http');
      expect((await fetch((await service.url()) + path)).status).toBe(200);
    },
  );
});
