import { Dialog, DialogDismiss, DialogHeading } from '@ariakit/react';
import { useState, type SyntheticEvent } from 'react';
import type { NodeAddress, Session } from '../client/index.ts';
import { useEnding, type Decision, type Ended } from './ending.ts';
import { messageOf } from './failure.tsx';
import { line } from './format.ts';
import { Outcomes } from './outcomes.tsx';
import { useSummary } from './summary.tsx';
import { useWords } from './words.ts';

const MOST_SHOWN = 100;
const VISIBLE = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,256}$/u;

/** A dialog that shows the sessions to end and the rows to undo, asks for a reason, and then shows the outcome of each session. */
export function EndDialog({
  node,
  nodeName,
  ended,
  isReasonRequired,
  isCovered,
  onClose,
}: {
  readonly node: NodeAddress;
  readonly nodeName: string;
  readonly ended: Ended;
  readonly isReasonRequired: boolean;
  readonly isCovered: boolean;
  readonly onClose: () => void;
}) {
  const words = useWords();
  const total = useSummary(node, 1).data?.total ?? 0;
  const { progress, run, askAgain } = useEnding(node, ended, total);
  const [decision, setDecision] = useState<Decision>({ scope: 'session', reason: '' });
  const { sessions } = ended;
  const { phase } = progress;
  const isBusy = phase === 'looking' || phase === 'working';
  const isStatement = decision.scope === 'statement';
  const title = isStatement ? words.end.titleStatements : words.end.title;
  return (
    <Dialog
      open={!isCovered}
      onClose={(event) => {
        if (isBusy || isCovered) event.preventDefault();
        else onClose();
      }}
      hideOnInteractOutside={false}
      backdrop={<div className="backdrop" />}
      className="dialog wide"
    >
      <DialogHeading>
        {phase === 'asking' || isBusy ? title(sessions.length, nodeName) : words.end.done}
      </DialogHeading>
      {phase === 'asking' || isBusy ? (
        <Question
          sessions={sessions}
          decision={decision}
          isReasonRequired={isReasonRequired}
          busy={isBusy ? phase : undefined}
          error={progress.error}
          onChange={setDecision}
          onEnd={() => void run(decision)}
        />
      ) : (
        <Outcomes sessions={sessions} progress={progress} onAskAgain={askAgain} />
      )}
      {!isBusy && (
        <DialogDismiss className="dismiss">
          {phase === 'asking' ? words.cancel : words.close}
        </DialogDismiss>
      )}
    </Dialog>
  );
}

function Question({
  sessions,
  decision,
  isReasonRequired,
  busy,
  error,
  onChange,
  onEnd,
}: {
  readonly sessions: readonly Session[];
  readonly decision: Decision;
  readonly isReasonRequired: boolean;
  readonly busy: 'looking' | 'working' | undefined;
  readonly error: unknown;
  readonly onChange: (decision: Decision) => void;
  readonly onEnd: () => void;
}) {
  const all = useWords();
  const words = all.end;
  const [problem, setProblem] = useState<string>();
  const reason = decision.reason.trim();
  const isStatement = decision.scope === 'statement';
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (busy !== undefined) return;
    if (reason === '' && isReasonRequired) setProblem(words.reasonMissing);
    else if (reason !== '' && !VISIBLE.test(reason)) setProblem(words.reasonWrong);
    else {
      setProblem(undefined);
      onEnd();
    }
  };
  const working = isStatement ? words.workingStatements : words.working;
  return (
    <form onSubmit={submit} autoComplete="off">
      <Whom sessions={sessions} />
      {!isStatement && <p className="rollback">{rollbackOf(sessions, words)}</p>}
      <fieldset disabled={busy !== undefined}>
        <legend>{words.scope}</legend>
        {(['session', 'statement'] as const).map((scope) => (
          <label key={scope} className="tick">
            <input
              type="radio"
              name="scope"
              checked={decision.scope === scope}
              onChange={() => {
                onChange({ ...decision, scope });
              }}
            />
            {words[scope]}
          </label>
        ))}
      </fieldset>
      <label>
        {isReasonRequired ? words.reasonRequired : words.reason}
        <input
          value={decision.reason}
          maxLength={256}
          readOnly={busy !== undefined}
          aria-invalid={problem !== undefined}
          onChange={(event) => {
            onChange({ ...decision, reason: event.target.value });
          }}
        />
      </label>
      <p className="hint">{words.reasonHint}</p>
      {problem !== undefined && (
        <p role="alert" className="error">
          {problem}
        </p>
      )}
      {error !== undefined && (
        <p role="alert" className="error">
          {words.nothingSent} {messageOf(error, all.error.unreachable)}
        </p>
      )}
      {busy === undefined ? (
        <button type="submit" className="danger">
          {isStatement ? words.someStatements(sessions.length) : words.some(sessions.length)}
        </button>
      ) : (
        <p role="status">{busy === 'looking' ? words.looking : working(sessions.length)}</p>
      )}
    </form>
  );
}

/** The counts by user, host and command, then the sessions. */
function Whom({ sessions }: { readonly sessions: readonly Session[] }) {
  const words = useWords().end;
  const counts = new Map<string, number>();
  for (const { user, host, command } of sessions) {
    const name = `${line(user)} · ${line(host.replace(/:\d+$/, ''))} · ${line(command)}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const left = sessions.length - MOST_SHOWN;
  return (
    <section aria-label={words.whom} className="whom" tabIndex={0}>
      <ul className="counts">
        {[...counts].map(([name, count]) => (
          <li key={name}>
            <b>{count.toLocaleString()}</b> {name}
          </li>
        ))}
      </ul>
      <ul className="rows">
        {sessions.slice(0, MOST_SHOWN).map(({ id, user, host, db, info }) => (
          <li key={id.toString()}>
            <b>{id.toString()}</b> {line(user)} {line(host)} {line(db)} <code>{line(info)}</code>
          </li>
        ))}
      </ul>
      {left > 0 && <p className="hint">{words.more(left)}</p>}
    </section>
  );
}

function rollbackOf(
  sessions: readonly Session[],
  words: ReturnType<typeof useWords>['end'],
): string {
  if (sessions.every(({ transaction }) => transaction === undefined)) {
    return words.rollsBackUnknown;
  }
  const open = sessions.flatMap(({ transaction }) => transaction ?? []);
  const rows = open.reduce((sum, { rowsModified }) => sum + rowsModified, 0n);
  return open.length === 0 ? words.rollsBackNothing : words.rollsBack(rows, open.length);
}
