import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import './style.css';
import { WordsProvider, wordsOf } from './words.ts';

const words = wordsOf(navigator.languages);
document.documentElement.lang = words.htmlLanguage;
const queries = new QueryClient({
  // The client library itself retries, so the page shows an error immediately.
  defaultOptions: { queries: { retry: false, networkMode: 'always', refetchOnWindowFocus: false } },
});

const page = document.getElementById('page');
if (page === null) throw new Error('The page has no element for its content.');
createRoot(page).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <WordsProvider value={words}>
        <App />
      </WordsProvider>
    </QueryClientProvider>
  </StrictMode>,
);
