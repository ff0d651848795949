import { useSyncExternalStore } from 'react';

/** The view that the address names. The address never holds a token. */
export interface Place {
  readonly project: string;
  readonly node: string;
  readonly tab: string;
}

const NOWHERE: Place = { project: '', node: '', tab: 'sessions' };

/** Returns the view that the address names, and follows its changes. */
export function usePlace(): Place {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  const fields = new URLSearchParams(hash.slice(1));
  return {
    project: fields.get('project') ?? '',
    node: fields.get('node') ?? '',
    tab: fields.get('tab') ?? 'sessions',
  };
}

/** Returns the address of a place, relative to the page. */
export function addressOf(place: Partial<Place>): string {
  const fields = Object.entries({ ...NOWHERE, ...place }).filter(
    ([name, value]) => value !== '' && !(name === 'tab' && value === NOWHERE.tab),
  );
  return `#${new URLSearchParams(fields).toString()}`;
}

/** Goes to a place. */
export function goTo(place: Partial<Place>): void {
  const address = addressOf(place);
  if (address !== location.hash) location.hash = address;
}

function subscribe(onChange: () => void): () => void {
  addEventListener('hashchange', onChange);
  return () => {
    removeEventListener('hashchange', onChange);
  };
}
