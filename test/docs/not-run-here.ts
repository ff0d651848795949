/** The commands of the documents that their test skips, and why. */
export const ELSEWHERE: readonly { readonly which: RegExp; readonly why: string }[] = [
  { which: /^docker /, why: 'It needs a container engine.' },
  { which: /^kubectl /, why: 'It needs a cluster. test/kubernetes.test.ts reads the manifests.' },
  {
    which: /^npm ci( && npm (test|run demo|run build))?$/,
    why: '.ci/run runs it, from a clean checkout.',
  },
  { which: /^npm (test|run demo|run check)$/, why: '.ci/run runs it or its parts.' },
  { which: /^npm test -- test\/[\w/]+$/, why: 'It is a part of the test run.' },
  { which: /^npm run (bench|fleet|torture)( -- --profile)?$/, why: 'It takes minutes.' },
  {
    which: /^npm run record$/,
    why: 'It overwrites a picture of the repository, which a person must look at.',
  },
  {
    which: /^npm (pack$|install --global )|&& npm link$/,
    why: 'It would install on this machine. test/package.test.ts packs and installs the package.',
  },
  { which: /^sessionctl /, why: 'test/cli/cookbook.test.ts runs them.' },
  { which: /^promtool /, why: 'test/deploy.test.ts runs it.' },
  {
    which: /^(cp deploy\/systemd|systemd-sysusers |systemctl |runuser )/,
    why: 'It changes this machine. test/systemd.test.ts checks the unit.',
  },
];
