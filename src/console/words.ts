import { createContext, useContext } from 'react';
import { EN } from './words-en.ts';
import { ZH } from './words-zh.ts';

/** All texts of the page in one language. */
export type Words = typeof EN;

const WordsContext = createContext<Words>(EN);

/** Gives the components inside it their words. */
export const WordsProvider = WordsContext.Provider;

/** Returns the words of the browser's language: Chinese or English. */
export function wordsOf(languages: readonly string[]): Words {
  const known = languages.find((language) => /^(en|zh)\b/i.test(language));
  return known !== undefined && /^zh/i.test(known) ? ZH : EN;
}

/** Returns the words of the page. */
export function useWords(): Words {
  return useContext(WordsContext);
}
