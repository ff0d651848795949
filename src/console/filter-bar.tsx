import { useId, useState } from 'react';
import { FILTERED, NO_FILTER, type Filter, type FilterTexts } from './filter.ts';
import { useWords } from './words.ts';

/** The inputs of the filter. On a narrow screen a button shows and hides them, so that the table is in sight. */
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
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const count = Object.values(texts).filter((text) => text !== '').length;
  return (
    <>
      {/* Only a narrow screen has this button. A wide one always shows the fields. */}
      <button
        type="button"
        className="fold"
        aria-expanded={isOpen}
        aria-controls={id}
        onClick={() => {
          setOpen(!isOpen);
        }}
      >
        {words.fold(count)}
      </button>
      <fieldset id={id} className={isOpen ? 'filter open' : 'filter'}>
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
        {count > 0 && (
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
      </fieldset>
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
    </>
  );
}
