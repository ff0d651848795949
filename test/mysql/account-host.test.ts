import { describe, expect, it } from '@jest/globals';
import { hostFit } from '../../src/mysql/account-host.ts';

describe('the host of an account', () => {
  it.each([
    ['10.0.0.4', '10.0.0.4', 'exact'],
    ['10.0.0.4', '10.0.0.40', undefined],
    ['10.0.0.40', '10.0.0.4', undefined],
    ['::1', '::1', 'exact'],
    ['fd00::a', 'fd00::b', undefined],
    ['localhost', '127.0.0.1', undefined],
    ['localhost', 'localhost', 'exact'],
    ['App.Example.com', 'app.example.com', 'exact'],
    ['app.example.com', 'api.example.com', undefined],
    // The node resolves the name from an address that it does not show.
    ['10.0.0.4', 'app.example.com', 'maybe exact'],
    ['fd00::a', 'app.example.com', 'maybe exact'],
    ['10.0.%', 'app.example.com', 'pattern'],
    ['10.0.0.0/24', 'app.example.com', 'pattern'],
    ['%', '10.0.0.4', 'pattern'],
    ['', '10.0.0.4', 'pattern'],
    ['%', 'fd00::a', 'pattern'],
    ['10.0.0.%', '10.0.0.4', 'pattern'],
    ['10.0.0.%', '10.0.1.4', undefined],
    ['10.%.4', '10.0.0.4', 'pattern'],
    ['10.0.0._', '10.0.0.4', 'pattern'],
    ['10.0.0._', '10.0.0.40', undefined],
    ['%.example.com', 'app.Example.com', 'pattern'],
    ['%.example.com', 'example.com', undefined],
    ['%.example.com', '10.0.0.4', undefined],
    ['app_1.example.com', 'app-1.example.com', 'pattern'],
    [String.raw`app\_1.%`, 'app-1.example.com', undefined],
    [String.raw`app\_1.%`, 'app_1.example.com', 'pattern'],
    ['10.0.0.0/255.255.255.0', '10.0.0.4', 'pattern'],
    ['10.0.0.0/255.255.255.0', '10.0.1.4', undefined],
    ['10.0.0.4/255.255.255.0', '10.0.0.4', undefined],
    ['192.168.0.0/255.255.0.0', '192.168.9.9', 'pattern'],
    ['10.0.0.0/8', '10.200.0.4', 'pattern'],
    ['10.0.0.0/8', '11.0.0.4', undefined],
    ['200.0.0.0/8', '200.1.2.3', 'pattern'],
    ['0.0.0.0/0', '200.1.2.3', 'pattern'],
    ['10.0.0.4/32', '10.0.0.4', 'pattern'],
    ['10.0.0.0/33', '10.0.0.0', undefined],
    ['fd00::/16', 'fd00::a', undefined],
    ['10.0.0.0/x', '10.0.0.4', undefined],
  ])('%j fits the client %j: %s', (accountHost, clientHost, fit) => {
    expect(hostFit(accountHost, clientHost)).toBe(fit);
  });
});
