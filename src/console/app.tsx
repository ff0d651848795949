import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { ApiProvider, createApi, storeAccess, storedAccess, type Api } from './api.ts';
import { NodesPage } from './nodes-page.tsx';
import { goTo, usePlace } from './place.ts';
import { SignInAgain, SignInPage, type Entry } from './sign-in.tsx';
import { useWords } from './words.ts';

/** The whole page: the sign-in, or the nodes of the project. */
export function App() {
  const words = useWords();
  const queries = useQueryClient();
  const place = usePlace();
  const [refused, setRefused] = useState(0);
  const [api, setApi] = useState<Api | undefined>(() => {
    const access = storedAccess();
    return access && createApi(access, words.language, setRefused);
  });

  const enter = ({ api: entered, access, isKept }: Entry): void => {
    // Drops everything that another token has read.
    queries.clear();
    storeAccess(isKept ? access : undefined);
    if (place.project !== access.projectId) goTo({ project: access.projectId });
    setApi(entered);
  };
  const leave = (): void => {
    queries.clear();
    storeAccess(undefined);
    goTo({ project: api?.projectId ?? '' });
    setApi(undefined);
  };

  if (api === undefined) {
    return <SignInPage project={place.project} onRefused={setRefused} onEnter={enter} />;
  }
  const isRefused = refused === api.generation;
  return (
    <ApiProvider value={api}>
      <header className="top">
        <h1>{words.signIn.title}</h1>
        <span className="project">{api.projectId}</span>
        <a href="console/licences.md">{words.licences}</a>
        <button type="button" onClick={leave}>
          {words.signIn.out}
        </button>
      </header>
      <NodesPage key={api.projectId} isCovered={isRefused} />
      <SignInAgain
        key={api.generation}
        isOpen={isRefused}
        project={api.projectId}
        onRefused={setRefused}
        onEnter={enter}
      />
    </ApiProvider>
  );
}
