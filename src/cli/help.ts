import { PATTERNS } from './options.ts';

export const PROGRAM_HELP = `
Examples:
  sessionctl context add prod --endpoint https://sessions.example.com --project … --instance … --node … --token-command 'pass show prod'
  sessionctl list --sort -time --limit 20
  sessionctl kill --user app --command Query --min-time 5m --wait 30s

A flag overrides the environment, which overrides the context in ~/.config/sessionctl/config.yaml.

Exit codes: 0 done, 1 refused by the service, 3 some not found, 4 some failed or unknown, 5 declined, 64 usage, 69 unreachable,
74 output not written, 77 denied, 78 configuration, 130 interrupted.`;

export const LIST_HELP = `${PATTERNS}

Examples:
  sessionctl list --command Query --sort -time
  sessionctl list --user app --db 'shop*' --min-time 60s -o json
  sessionctl list --info '/^select .* from orders/i' --node NODE1 --node NODE2
  sessionctl list --user '!replicator' --watch 2s
  sessionctl list --in-transaction --sort -trx,-rows
  sessionctl list --group-by user
  sessionctl list --command Sleep --min-time 1h -o ids | sessionctl kill - --max 500`;

export const KILL_HELP = `${PATTERNS}

kill shows the sessions and asks before it ends them. After the answer it reads the list again, and skips a session that has changed.

Examples:
  sessionctl kill 2075425 --wait 10s
  sessionctl kill --user app --min-time 5m --dry-run
  sessionctl kill --user report --command Query --yes --reason 'runaway report'
  sessionctl kill --all --max 5000 --instance-wide
  sessionctl kill --blocker-of 2075426
  sessionctl kill --query 2075425

Exit codes: 0 all killed, 3 some not found, 4 some failed or unknown, 5 declined, 64 usage, 69 unreachable, 77 denied, 130 interrupted.`;

export const BLOCKERS_HELP = `
A root blocker waits for nobody: its end frees the sessions below it.

Examples:
  sessionctl blockers
  sessionctl blockers --instance-wide -o json`;

export const SHOW_HELP = `
Examples:
  sessionctl show 2075425
  sessionctl show orders-primary/2075425 --instance-wide -o json`;

export const TOP_HELP = `${PATTERNS}

The key ? shows all keys. K ends sessions in the way of \`sessionctl kill\`: it asks first.

Examples:
  sessionctl top
  sessionctl top --node orders-primary --sort -trx
  sessionctl top --user app --in-transaction --interval 5s

Exit codes: 0 quit, 64 usage or no terminal, 69 unreachable, 77 denied, 130 Ctrl-C.`;

export const NODES_HELP = `
Examples:
  sessionctl nodes
  sessionctl nodes -o json`;

export const HISTORY_HELP = `
history shows the kills of the whole instance. --node takes the id or the name of a node. A name needs no --instance.

Examples:
  sessionctl history
  sessionctl history --since 2h --user app --caller ops
  sessionctl history --node orders-primary --since 2026-11-30T03:00 --until 2026-11-30T04:00 -o csv

Exit codes: 0 shown, 4 the service could not read all of its records, 64 usage, 69 unreachable, 77 denied.`;

export const CAPABILITIES_HELP = `
Examples:
  sessionctl capabilities
  sessionctl capabilities --instance-wide -o json`;

export const CONSOLE_HELP = `
The address names the project and, if there is one, the node. It never holds a token: the page asks for one.

Examples:
  sessionctl console
  sessionctl console --context lab`;

export const CONTEXT_HELP = `
Examples:
  sessionctl context add prod --endpoint https://sessions.example.com --project … --instance … --node … --token-command 'pass show prod'
  sessionctl context add lab --endpoint https://lab.example.com --project … --instance … --node … --iam-endpoint https://iam.example.com --iam-user bob --iam-domain Default
  sessionctl context use prod
  sessionctl context show
  sessionctl context remove lab
  sessionctl context list`;

export const LOGIN_HELP = `
Examples:
  sessionctl login
  sessionctl login --context lab`;

export const COMPLETION_HELP = `
The script asks the service for nodes and session ids while you press TAB: at most 1.5 s, with the
flags on the line, and without a question. Contexts come from the configuration file.

Examples:
  source <(sessionctl completion bash)
  sessionctl completion zsh > ~/.zfunc/_sessionctl
  sessionctl completion fish > ~/.config/fish/completions/sessionctl.fish`;
