import { Box, render, Text, useInput, type Instance } from 'ink';
import { useLayoutEffect, useSyncExternalStore } from 'react';
import type { CliContext, Screen } from '../cli-context.ts';
import type { Frames } from './frames.ts';
import { keysOf } from './keys.ts';
import { bodyRows, type Line } from './layout.ts';
import { bodyLines, footLine, headLines } from './lines.ts';
import type { Store } from './store.ts';

interface AppProps {
  readonly store: Store;
  readonly frames: Frames;
  readonly screen: Screen;
  readonly onKey: (key: string) => void;
}

/**
 * Shows the screen until `unmount`. Ink calls that before the process ends by a signal or an error, so the terminal is always restored:
 * its own buffer, the cursor, and the mode of the keyboard.
 */
export function showApp(props: AppProps, { input }: CliContext): Instance {
  props.frames.enter();
  return render(<App {...props} />, {
    stdin: input,
    stdout: props.frames as unknown as NodeJS.WriteStream,
    // Ink then hands over each frame as a whole.
    debug: true,
    exitOnCtrlC: false,
    patchConsole: false,
  });
}

function App({ store, frames, screen, onKey }: AppProps) {
  const state = useSyncExternalStore(store.subscribe, store.get);
  useInput((input, key) => {
    keysOf(input, key).forEach(onKey);
  });
  useLayoutEffect(
    () => () => {
      frames.leave();
    },
    [frames],
  );
  return (
    <Box flexDirection="column" width={state.columns} height={state.rows} overflow="hidden">
      <Lines lines={headLines(state)} screen={screen} />
      <Box flexDirection="column" height={bodyRows(state) + 1} overflow="hidden">
        <Lines lines={bodyLines(state, screen)} screen={screen} />
      </Box>
      <Lines lines={[footLine(state)]} screen={screen} />
    </Box>
  );
}

function Lines({
  lines,
  screen: { colors },
}: {
  readonly lines: readonly Line[];
  readonly screen: Screen;
}) {
  const tones = {
    ...{ cursor: colors.inverse, title: colors.bold },
    ...{ warning: colors.yellow, failure: colors.red, quiet: colors.dim },
  };
  return lines.map(({ text, tone }, row) => (
    // An empty text would have no height.
    <Text key={row} wrap="truncate">
      {tone === undefined ? text || ' ' : tones[tone](text || ' ')}
    </Text>
  ));
}
