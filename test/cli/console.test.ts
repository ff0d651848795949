import { describe, expect, it } from '@jest/globals';
import { nodeKey } from '../support/ids.ts';
import { Home } from './home.ts';

const home = new Home();
const { projectId, instanceId, nodeId } = nodeKey;

describe('sessionctl console', () => {
  it('prints the address of the page with the project and the node, and without the token', async () => {
    const flags = ['--project', projectId, '--instance', instanceId, '--token', 'a-token'];
    const words = ['console', '--endpoint', 'https://lab.example.com/sc/', ...flags];
    const { code, output } = await home.run([...words, '--node', nodeId]);
    expect(code).toBe(0);
    expect(output).toBe(`https://lab.example.com/sc/console#project=${projectId}&node=${nodeId}\n`);
  });

  it('names no node if there are several', async () => {
    const words = ['console', '--endpoint', 'http://127.0.0.1:8080', '--project', projectId];
    const { output } = await home.run([...words, '--node', nodeId, '--node', `9${nodeId}`]);
    expect(output).toBe(`http://127.0.0.1:8080/console#project=${projectId}\n`);
  });

  it('needs an endpoint', async () => {
    const { code, messages } = await home.run(['console']);
    expect(code).toBe(64);
    expect(messages).toContain('The endpoint is missing.');
  });
});
