import { Dialog, DialogDismiss, DialogHeading } from '@ariakit/react';
import { useQuery } from '@tanstack/react-query';
import { formatDuration, type NodeAddress, type SessionDetail } from '../client/index.ts';
import { useApi } from './api.ts';
import type { Ended } from './ending.ts';
import { Failure } from './failure.tsx';
import { line, lines } from './format.ts';
import { lockOf } from './waits.tsx';
import { useWords } from './words.ts';

/** One session with its whole statement, its transaction and its locks. */
export function DetailsDialog({
  node,
  id,
  isOpen,
  onEnd,
  onClose,
}: {
  readonly node: NodeAddress;
  readonly id: bigint | undefined;
  readonly isOpen: boolean;
  readonly onEnd: ((ended: Ended) => void) | undefined;
  readonly onClose: () => void;
}) {
  const words = useWords();
  const { client, generation } = useApi();
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ['session', generation, node.instanceId, node.nodeId, String(id)],
    queryFn: ({ signal }) => client.show(node, id ?? 0n, signal),
    enabled: isOpen && id !== undefined,
    staleTime: 0,
    gcTime: 0,
  });
  return (
    <Dialog
      open={isOpen}
      onClose={onClose}
      backdrop={<div className="backdrop" />}
      className="dialog wide"
      unmountOnHide
    >
      <DialogHeading>{words.details.title(id ?? 0n)}</DialogHeading>
      {error && <Failure error={error} onRetry={() => void refetch()} />}
      {!data && !error && <p role="status">{words.loading}</p>}
      {data && <Details session={data} />}
      <div className="bar">
        {data && onEnd && (
          <button
            type="button"
            className="danger"
            onClick={() => {
              onEnd({ sessions: [data], filter: () => true });
              onClose();
            }}
          >
            {words.end.one(data.id)}
          </button>
        )}
        <button type="button" onClick={() => void refetch()} aria-disabled={isFetching}>
          {words.refresh}
        </button>
        <DialogDismiss className="dismiss">{words.close}</DialogDismiss>
      </div>
    </Dialog>
  );
}

function Details({ session }: { readonly session: SessionDetail }) {
  const words = useWords();
  const { details, sessions, blockers } = words;
  const { transaction, connectionAttributes = {}, sources } = session;
  const waits = (some: SessionDetail['waitsFor'], other: 'id' | 'waitsFor'): string =>
    some.length === 0
      ? details.nobody
      : some
          .map((wait) => `${wait[other] ?? blockers.internal} (${lockOf(wait, blockers.kinds)})`)
          .join('\n');
  const facts: readonly (readonly [string, string])[] = [
    [sessions.user, line(session.user)],
    [sessions.host, line(session.host)],
    [sessions.db, line(session.db)],
    [sessions.command, line(session.command)],
    [sessions.time, formatDuration(session.time)],
    [sessions.state, line(session.state)],
    [
      details.transaction,
      transaction
        ? [
            transaction.state,
            blockers.transaction(formatDuration(transaction.seconds)),
            details.locked(transaction.rowsLocked),
            blockers.rows(transaction.rowsModified),
          ].join(', ')
        : transaction === null
          ? details.noTransaction
          : (sources['transaction'] ?? ''),
    ],
    [details.waitsFor, waits(session.waitsFor, 'waitsFor')],
    [details.blocks, waits(session.blocks, 'id')],
    ...Object.entries(connectionAttributes).map(([name, value]): [string, string] => [
      line(name),
      line(value),
    ]),
  ];
  const missing = Object.values(sources).filter((source) => source !== 'available');
  return (
    <>
      <h3>{details.statement}</h3>
      {session.info === '' ? (
        <p>{details.noStatement}</p>
      ) : (
        <pre tabIndex={0}>{lines(session.info)}</pre>
      )}
      {session.isInfoTruncated && <p className="hint">{details.truncated}</p>}
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {missing.map((why) => (
        <p key={why} className="hint">
          {why}
        </p>
      ))}
    </>
  );
}
