/** Commands of the documents that their test does not run, and why. */
export const ELSEWHERE: readonly { readonly which: RegExp; readonly why: string }[] = [
  { which: /^docker /, why: 'It needs a container engine.' },
  {
    which: /^npm ci( && npm (test|run demo|run build))?$/,
    why: '.ci/run does it, from a clean checkout.',
  },
  { which: /^npm (test|run demo|run check)$/, why: '.ci/run does it, or its parts.' },
  { which: /^npm test -- test\/[\w/]+$/, why: 'It is a part of what runs now.' },
  { which: /^npm run (bench|fleet|torture)( -- --profile)?$/, why: 'It takes minutes.' },
  { which: /^npm run record$/, why: 'It draws a picture that is kept, for a person to look at.' },
  {
    which: /^npm (pack$|install --global )|&& npm link$/,
    why: 'It would install on this machine; test/package.test.ts has the package packed and installed.',
  },
  { which: /^sessionctl /, why: 'test/cli/cookbook.test.ts runs them.' },
  { which: /^promtool /, why: 'test/deploy.test.ts does it.' },
  {
    which: /^(cp deploy\/systemd|systemd-sysusers |systemctl |runuser )/,
    why: 'It changes this machine; test/systemd.test.ts has the unit judged.',
  },
];
