import { Dialog, DialogHeading } from '@ariakit/react';
import { useState, type SyntheticEvent } from 'react';
import { createApi, storedAccess, type Access, type Api } from './api.ts';
import { useWords } from './words.ts';

/** An access that the service has accepted. */
export interface Entry {
  readonly access: Access;
  readonly api: Api;
  /** True if the tab may keep the access until it is closed. */
  readonly isKept: boolean;
}

interface SignInProps {
  readonly project: string;
  readonly onRefused: (generation: number) => void;
  readonly onEnter: (entry: Entry) => void;
}

/** The page before the sign-in. */
export function SignInPage(props: SignInProps) {
  const words = useWords();
  return (
    <main className="sign-in">
      <h1>{words.signIn.title}</h1>
      <p>{words.signIn.lead}</p>
      <SignInForm {...props} />
    </main>
  );
}

/** Asks for another token above the page. The page keeps all typed text. */
export function SignInAgain({ isOpen, ...props }: SignInProps & { readonly isOpen: boolean }) {
  const words = useWords();
  return (
    <Dialog
      open={isOpen}
      className="dialog"
      backdrop={<div className="backdrop" />}
      hideOnEscape={false}
      hideOnInteractOutside={false}
      unmountOnHide
    >
      <DialogHeading>{words.signIn.submit}</DialogHeading>
      <p>{words.signIn.again}</p>
      <SignInForm {...props} />
    </Dialog>
  );
}

function SignInForm({ project, onRefused, onEnter }: SignInProps) {
  const words = useWords().signIn;
  const { language } = useWords();
  const [projectId, setProjectId] = useState(project);
  const [token, setToken] = useState('');
  const [isKept, setKept] = useState(() => storedAccess() !== undefined);
  const [state, setState] = useState<{ isBusy: boolean; error?: string }>({ isBusy: false });

  const enter = async (): Promise<void> => {
    setState({ isBusy: true });
    const access = { projectId: projectId.trim(), token: token.trim() };
    const api = createApi(access, language, onRefused);
    try {
      const { caller } = await api.client.nodesPage(access.projectId, { limit: 1 });
      api.budget.requestsPerMinute = caller.requestsPerMinute;
      onEnter({ access, api, isKept });
    } catch (error) {
      setState({ isBusy: false, error: error instanceof Error ? error.message : String(error) });
    }
  };
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (!state.isBusy) void enter();
  };

  return (
    <form onSubmit={submit} autoComplete="off">
      <label>
        {words.project}
        <input
          required
          autoFocus={project === ''}
          spellCheck={false}
          autoCapitalize="off"
          value={projectId}
          onChange={(event) => {
            setProjectId(event.target.value);
          }}
        />
      </label>
      <label>
        {words.token}
        <input
          required
          type="password"
          autoFocus={project !== ''}
          autoComplete="off"
          value={token}
          onChange={(event) => {
            setToken(event.target.value);
          }}
        />
      </label>
      <label className="tick">
        <input
          type="checkbox"
          checked={isKept}
          onChange={(event) => {
            setKept(event.target.checked);
          }}
        />
        {words.remember}
      </label>
      <p className="hint">{words.kept}</p>
      {state.error !== undefined && (
        <p role="alert" className="error">
          {state.error}
        </p>
      )}
      <button type="submit" className="primary" aria-disabled={state.isBusy}>
        {state.isBusy ? words.checking : words.submit}
      </button>
    </form>
  );
}
