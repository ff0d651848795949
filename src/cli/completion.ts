import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The completions that follow one path of subcommands. */
interface Level {
  /** The path of subcommands, such as `context add`. */
  readonly words: string;
  readonly commands: readonly Command[];
  readonly options: readonly Option[];
  readonly values: readonly string[];
}

/** Returns a shell script that completes the commands, options and values of this program. The script sends no request. */
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
  const withValue = new Set(
    levels.flatMap(({ options }) => options.filter(takesValue).flatMap(namesOf)),
  );
  const valueCases = levels.flatMap(({ words, options }) =>
    options.flatMap((option) => {
      const before = namesOf(option)
        .map((long) => `'${words} ${long}'`)
        .join('|');
      if (option.argChoices !== undefined) {
        return [
          `    ${before}) COMPREPLY=($(compgen -W '${option.argChoices.join(' ')}' -- "$current")); return ;;`,
        ];
      }
      return isFile(option)
        ? [`    ${before}) COMPREPLY=($(compgen -f -- "$current")); return ;;`]
        : [];
    }),
  );
  const wordCases = levels.map(({ words, commands, options, values }) => {
    const all = [...commands.map((next) => next.name()), ...values, ...options.flatMap(namesOf)];
    return `    '${words}') offered='${all.join(' ')}' ;;`;
  });
  const anyWithValue = [...withValue].join('|');
  // zsh reserves the variable names `path` and `words`.
  return `_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local level='' offered='' word index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    case "$word" in
      ${anyWithValue}) ((index++)) ;;
      -*) ;;
      *) case '|${levels.map(({ words }) => words).join('|')}|' in
        *"|\${level:+$level }$word|"*) level="\${level:+$level }$word" ;;
      esac ;;
    esac
  done
  case "$level $previous" in
${valueCases.join('\n')}
  esac
  case "$previous" in
    ${anyWithValue}) return ;;
  esac
  case "$level" in
${wordCases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$offered" -- "$current"))
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
    const start = `complete -c ${name} -n ${quoted(condition + unless)}`;
    return [
      ...commands.map(
        (command) => `${start} -a ${command.name()} -d ${quoted(command.description())}`,
      ),
      ...values.map((value) => `${start} -a ${value}`),
      ...options.map((option) => `${start} ${fishOption(option)} -d ${quoted(option.description)}`),
    ];
  });
  return [`complete -c ${name} -f`, ...lines, ''].join('\n');
}

function fishOption(option: Option): string {
  const { short, long, argChoices } = option;
  return [
    ...(short ? [`-s ${short.slice(1)}`] : []),
    ...(long ? [`-l ${long.slice(2)}`] : []),
    ...(takesValue(option) ? [isFile(option) ? '-r -F' : '-x'] : []),
    ...(argChoices ? [`-a ${quoted(argChoices.join(' '))}`] : []),
  ].join(' ');
}

function isFile({ long }: Option): boolean {
  return long?.endsWith('-file') === true;
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
