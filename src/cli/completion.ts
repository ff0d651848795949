import type { Command, Option } from 'commander';
import type { Completed } from './complete.ts';

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

/** The options whose values, and the commands whose arguments, the hidden command `__complete` finds. */
const FOUND_FOR_OPTIONS: Readonly<Record<string, Completed>> = {
  '--context': 'contexts',
  '--node': 'nodes',
  '--blocker-of': 'ids',
};
const FOUND_FOR_COMMANDS: Readonly<Record<string, Completed>> = {
  'context use': 'contexts',
  'context show': 'contexts',
  'context remove': 'contexts',
  kill: 'ids',
  show: 'ids',
};

/** Returns a shell script that completes the commands, options and values of this program. It runs the program for contexts, nodes and ids only. */
export function completionScript(program: Command, shell: Shell): string {
  const levels = levelsOf(program, []);
  switch (shell) {
    case 'bash':
      return bash(program.name(), levels);
    case 'zsh':
      return zsh(program.name(), levels);
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
  return `_${name}() {
  local kind='' word rest
  local -a found=()
  _${name}_words
  [ -n "$kind" ] || return 0
  while IFS=$'\\t' read -r word rest; do
    # Inside quotes, bash itself adds what is missing.
    case "\${COMP_WORDS[COMP_CWORD]}" in
      [\\'\\"]*) ;;
      *) printf -v word %q "$word" ;;
    esac
    found+=("$word")
  done < <(${name} __complete "$kind" -- "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)
  [ \${#found[@]} -eq 0 ] || COMPREPLY=("\${found[@]}")
}
${wordsFunction(name, levels)}complete -F _${name} ${name}
`;
}

function zsh(name: string, levels: readonly Level[]): string {
  return `#compdef ${name}
autoload -U +X bashcompinit && bashcompinit
_${name}() {
  local kind='' word rest COMP_CWORD=$((CURRENT - 1))
  local -a COMP_WORDS COMPREPLY found shown
  COMP_WORDS=("\${words[@]}")
  () { emulate -L sh; typeset -h words; _${name}_words }
  if [[ -n $kind ]]; then
    while IFS=$'\\t' read -r word rest; do
      found+=("$word")
      shown+=("$word\${rest:+  -- $rest}")
    done < <(${name} __complete $kind -- "\${(@)COMP_WORDS[1,CURRENT-1]}" '' 2>/dev/null)
  fi
  if (( $#found )); then
    compadd -l -d shown -a found
  else
    compadd -- "\${COMPREPLY[@]}"
  fi
}
${wordsFunction(name, levels)}compdef _${name} ${name}
[[ "\${zsh_eval_context[-1]}" != loadautofunc ]] || _${name} "$@"
`;
}

/** Returns the function that sets COMPREPLY, and `kind` if `__complete` may find more. It runs in bash and zsh. */
function wordsFunction(name: string, levels: readonly Level[]): string {
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
  return `_${name}_words() {
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
${casesOf(FOUND_FOR_OPTIONS, '; return')}
    ${anyWithValue}) return ;;
  esac
  case "$current" in
    -*) ;;
    *) case "$level" in
${casesOf(FOUND_FOR_COMMANDS)}
    esac ;;
  esac
  case "$level" in
${wordCases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$offered" -- "$current"))
}
`;
}

function casesOf(found: Readonly<Record<string, Completed>>, more = ''): string {
  return Object.entries(found)
    .map(([word, kind]) => `    '${word}') kind=${kind}${more} ;;`)
    .join('\n');
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
    const unless = (others: readonly string[]): string =>
      words !== '' && others.length > 0
        ? `; and not __fish_seen_subcommand_from ${others.join(' ')}`
        : '';
    const start = `complete -c ${name} -n ${quoted(condition + unless(names))}`;
    // The last word of `context show` is the command `show`, too.
    const groups = levels.filter((level) => level.words.endsWith(` ${words}`));
    const elsewhere = unless(groups.flatMap((level) => level.words.split(' ').slice(0, 1)));
    const found = FOUND_FOR_COMMANDS[words];
    return [
      ...commands.map(
        (command) => `${start} -a ${command.name()} -d ${quoted(command.description())}`,
      ),
      ...values.map((value) => `${start} -a ${value}`),
      ...(found === undefined
        ? []
        : [
            `complete -c ${name} -n ${quoted(condition + elsewhere)} -a ${fishSearch(name, found)}`,
          ]),
      ...options.map(
        (option) => `${start} ${fishOption(name, option)} -d ${quoted(option.description)}`,
      ),
    ];
  });
  return [`complete -c ${name} -f`, ...lines, ''].join('\n');
}

function fishOption(name: string, option: Option): string {
  const { short, long = '', argChoices } = option;
  const found = FOUND_FOR_OPTIONS[long];
  return [
    ...(short ? [`-s ${short.slice(1)}`] : []),
    ...(long ? [`-l ${long.slice(2)}`] : []),
    ...(takesValue(option) ? [isFile(option) ? '-r -F' : '-x'] : []),
    ...(argChoices ? [`-a ${quoted(argChoices.join(' '))}`] : []),
    ...(found === undefined ? [] : [`-a ${fishSearch(name, found)}`]),
  ].join(' ');
}

/** Returns the argument that makes fish ask the program. fish itself quotes what it offers, and shows the text after the tab. */
function fishSearch(name: string, kind: Completed): string {
  return quoted(`(${name} __complete ${kind} -- (commandline -opc) "" 2>/dev/null)`);
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
