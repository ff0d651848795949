import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What can stand on the command line after some words. */
interface Level {
  /** The subcommands that lead here, such as `context add`. */
  readonly words: string;
  readonly commands: readonly Command[];
  readonly options: readonly Option[];
  readonly values: readonly string[];
}

/** A script that completes the commands, options and values of this program in a shell. It asks nobody, so that it is quick. */
export function completionScript(program: Command, shell: Shell): string {
  const levels = levelsOf(program, []);
  switch (shell) {
    case 'bash':
      return bash(program.name(), levels);
    case 'zsh':
      return `#compdef ${program.name()}\nautoload -U +X bashcompinit && bashcompinit\n${bash(program.name(), levels)}`;
    case 'fish':
      return fish(program.name(), levels);
  }
}

function levelsOf(
  command: Command,
  inherited: readonly Option[],
  path: readonly string[] = [],
): Level[] {
  const help = command.createHelp();
  const options = [...help.visibleOptions(command), ...inherited];
  const commands = help.visibleCommands(command);
  const values = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const own = command.options.filter(({ hidden }) => !hidden);
  return [
    { words: path.join(' '), commands, options, values },
    ...commands
      .filter((next) => command.commands.includes(next))
      .flatMap((next) => levelsOf(next, [...own, ...inherited], [...path, next.name()])),
  ];
}

function bash(name: string, levels: readonly Level[]): string {
  const all = levels.flatMap(({ options }) => options);
  const choices = new Map(all.map((option) => [option.long, option.argChoices]));
  const withValue = new Set(all.filter(takesValue).flatMap(namesOf));
  const cases = levels.map(
    ({ words, commands, options, values }) =>
      `    '${words}') words='${[...commands.map((next) => next.name()), ...values, ...options.flatMap(namesOf)].join(' ')}' ;;`,
  );
  const chosen = [...choices]
    .filter(([, found]) => found !== undefined)
    .map(
      ([long, found]) =>
        `    ${long ?? ''}) COMPREPLY=($(compgen -W '${found?.join(' ') ?? ''}' -- "$current")); return ;;`,
    );
  return `_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path='' word words=''
  local index
  case "$previous" in
${chosen.join('\n')}
    --ca-file|--cert-file|--key-file) COMPREPLY=($(compgen -f -- "$current")); return ;;
    ${[...withValue].join('|')}) return ;;
  esac
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    case "$word" in
      ${[...withValue].join('|')}) ((index++)) ;;
      -*) ;;
      *) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
    ${levels
      .filter(({ words }) => words !== '')
      .sort(({ words: one }, { words: other }) => other.length - one.length)
      .map(({ words, options }) => `'${words} '*) words='${options.flatMap(namesOf).join(' ')}' ;;`)
      .join('\n    ')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _${name} ${name}
`;
}

function fish(name: string, levels: readonly Level[]): string {
  const lines = levels.flatMap(({ words, commands, options, values }) => {
    const names = commands.map((command) => command.name());
    const condition =
      words === ''
        ? '__fish_use_subcommand'
        : words
            .split(' ')
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join('; and ');
    const unless =
      words !== '' && names.length > 0
        ? `; and not __fish_seen_subcommand_from ${names.join(' ')}`
        : '';
    const start = `complete -c ${name} -f -n ${quoted(condition + unless)}`;
    return [
      ...commands.map(
        (command) => `${start} -a ${command.name()} -d ${quoted(command.description())}`,
      ),
      ...values.map((value) => `${start} -a ${value}`),
      ...options.map((option) => `${start} ${fishOption(option)} -d ${quoted(option.description)}`),
    ];
  });
  return `${lines.join('\n')}\n`;
}

function fishOption(option: Option): string {
  const { short, long, argChoices } = option;
  return [
    ...(short ? [`-s ${short.slice(1)}`] : []),
    ...(long ? [`-l ${long.slice(2)}`] : []),
    ...(takesValue(option) ? ['-x'] : []),
    ...(long?.endsWith('-file') ? ['-F'] : []),
    ...(argChoices ? [`-a ${quoted(argChoices.join(' '))}`] : []),
  ].join(' ');
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

function namesOf({ short, long }: Option): string[] {
  return [short, long].filter((name) => name !== undefined);
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, (character) => `\\${character}`)}'`;
}
