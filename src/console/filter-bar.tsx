import { FILTERED, NO_FILTER, type Filter, type FilterTexts } from './filter.ts';
import { useWords } from './words.ts';

/** The inputs of the filter. */
export function FilterBar({
  texts,
  filter,
  onChange,
}: {
  readonly texts: FilterTexts;
  readonly filter: Filter;
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
            aria-invalid={filter.wrong.includes(name)}
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
      {filter.wrong.map((name) => (
        <p key={name} role="alert" className="error">
          {name === 'minTime' ? words.badTime : words.badPattern(words[name])}
        </p>
      ))}
    </fieldset>
  );
}
