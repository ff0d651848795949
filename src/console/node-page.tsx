import { Tab, TabList, TabPanel, TabProvider } from '@ariakit/react';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { CallerFacts, NodeAddress } from '../client/index.ts';
import { useApi } from './api.ts';
import { BlockersView } from './blockers.tsx';
import { DetailsDialog } from './details.tsx';
import { EndDialog } from './end-dialog.tsx';
import type { Ended } from './ending.ts';
import { HistoryView } from './history.tsx';
import { goTo, usePlace } from './place.ts';
import { SessionsView } from './sessions.tsx';
import { SummaryHead } from './summary.tsx';
import { useWords } from './words.ts';

const TABS = ['sessions', 'blockers', 'history'] as const;

/** One node: its numbers, its sessions, its blockers, and the last kills. */
export function NodePage({
  name,
  address,
  caller,
  isCovered,
}: {
  readonly name: string;
  readonly address: NodeAddress;
  readonly caller: CallerFacts;
  /** True while the sign-in covers the page. */
  readonly isCovered: boolean;
}) {
  const words = useWords();
  const queries = useQueryClient();
  const { projectId, generation } = useApi();
  const { tab } = usePlace();
  const [ending, setEnding] = useState<Ended>();
  const [shown, setShown] = useState<bigint>();
  const show = (id: string | null | undefined): void => {
    goTo({ project: projectId, node: address.nodeId, tab: id ?? 'sessions' });
  };
  const canEnd = caller.actions.includes('deleteProcesses');
  const end = canEnd ? setEnding : undefined;
  const refresh = (): void => {
    for (const kind of ['summary', 'sessions', 'blockers', 'history']) {
      const queryKey = [kind, generation, address.instanceId, address.nodeId];
      void queries.invalidateQueries({ queryKey });
    }
  };
  const selectedId = TABS.find((known) => known === tab) ?? 'sessions';
  return (
    <>
      <h2 className="node">{name}</h2>
      <SummaryHead
        node={address}
        onBlockers={() => {
          show('blockers');
        }}
      />
      <TabProvider selectedId={selectedId} setSelectedId={show}>
        <TabList className="tabs" aria-label={words.tabs.label}>
          {TABS.map((id) => (
            <Tab key={id} id={id}>
              {words.tabs[id]}
            </Tab>
          ))}
        </TabList>
        <TabPanel tabId="sessions" focusable={false}>
          <SessionsView
            node={address}
            isShown={selectedId === 'sessions'}
            onEnd={end}
            onShow={setShown}
          />
        </TabPanel>
        <TabPanel tabId="blockers" focusable={false} unmountOnHide>
          <BlockersView node={address} onEnd={end} onShow={setShown} />
        </TabPanel>
        <TabPanel tabId="history" focusable={false} unmountOnHide>
          <HistoryView node={address} />
        </TabPanel>
      </TabProvider>
      <DetailsDialog
        node={address}
        id={shown}
        isOpen={shown !== undefined && !isCovered && ending === undefined}
        onEnd={end}
        onClose={() => {
          setShown(undefined);
        }}
      />
      {ending && (
        <EndDialog
          node={address}
          nodeName={name}
          ended={ending}
          isReasonRequired={caller.isReasonRequired}
          isCovered={isCovered}
          onClose={() => {
            setEnding(undefined);
            refresh();
          }}
        />
      )}
    </>
  );
}
