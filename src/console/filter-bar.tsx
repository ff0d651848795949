import { FILTERED, NO_FILTER, type Filter, type FilterTexts } from './filter.ts';
import { useWords } from './words.ts';

/** The inputs of the filter. */
export function FilterBar({
  texts,
  filter,
  isSlow,
  onChange,
}: {
  readonly texts: FilterTexts;
  readonly filter: Filter;
  readonly isSlow: boolean;
  readonly onChange: (texts: FilterTexts) => void;
}) {
  const words = useWords().filter;
  const isEmpty = Object.values(texts).every((text) => text === '');
  return (
    <fieldset className="filter">
      <legend>{words.title}</legend>
      {([...FILTERED, 'minTime'] as const).map((name) => (
        <label key={name}>
          {words[name]}
          <input
            value={texts[name]}
            spellCheck={false}
            autoCapitalize="off"
            autoComplete="off"
            aria-invalid={filter.wrong.some((field) => field.name === name)}
            onChange={(event) => {
              onChange({ ...texts, [name]: event.target.value });
            }}
          />
        </label>
      ))}
      {!isEmpty && (
        <button
          type="button"
          onClick={() => {
            onChange(NO_FILTER);
          }}
        >
          {words.clear}
        </button>
      )}
      <p className="hint">{words.hint}</p>
      {filter.wrong.map((field) => (
        <p key={field.name} role="alert" className="error">
          {field.name === 'minTime'
            ? words.badTime
            : words.badPattern(words[field.name], field.fault)}
        </p>
      ))}
      {isSlow && (
        <p role="alert" className="error">
          {words.slow}
        </p>
      )}
    </fieldset>
  );
}
