import { BarChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { short } from './report.ts';
import type { LaneResult } from './results.ts';
import type { Measurement } from './settings.ts';

const WIDTH = 860;
const BAR = 13;
const TITLE = 44;
const FOOT = 26;
const LABELS = 250;
const COLOURS = ['#4878a8', '#d9822b'];

/** Draws the medians of the lanes as bars in SVG, one colour per server: one kill above, 1,000 kills in one request below. */
export function chart(lanes: readonly LaneResult[]): string {
  use([BarChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);
  const servers = [...new Set(lanes.map(({ server }) => server))];
  const panels = [
    panel(lanes, 'a', 'One kill on a warm connection, median in ms'),
    panel(lanes, 'b', '1,000 kills in one request, median in ms'),
  ].filter(({ names }) => names.length > 0);
  let top = 30;
  const placed = panels.map((one) => {
    const height = one.names.length * (servers.length * BAR + 10);
    const place = { ...one, top: top + TITLE, height };
    top += TITLE + height + FOOT;
    return place;
  });
  const image = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: top });
  image.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    color: COLOURS,
    legend: { top: 6, right: 20, itemGap: 36 },
    title: placed.map(({ title, top: under }) => ({
      text: title,
      top: under - 34,
      left: 10,
      textStyle: { fontSize: 14 },
    })),
    grid: placed.map(({ top: at, height }) => ({ top: at, height, left: LABELS, right: 70 })),
    xAxis: placed.map((_, index) => ({ type: 'value', gridIndex: index, splitNumber: 6 })),
    yAxis: placed.map(({ names }, index) => ({
      type: 'category',
      gridIndex: index,
      inverse: true,
      data: names,
      axisTick: { show: false },
    })),
    series: placed.flatMap(({ names, measurement }, index) =>
      servers.map((server) => ({
        type: 'bar',
        name: server,
        xAxisIndex: index,
        yAxisIndex: index,
        barWidth: BAR - 1,
        barGap: '0%',
        label: {
          show: true,
          position: 'right',
          formatter: ({ value }: { readonly value: unknown }) => short(Number(value)),
        },
        data: names.map((name) => median(lanes, measurement, server, name)),
      })),
    ),
  });
  const svg = image.renderToSVGString();
  image.dispose();
  return svg;
}

interface Panel {
  readonly title: string;
  readonly measurement: Measurement;
  readonly names: readonly string[];
}

function panel(lanes: readonly LaneResult[], measurement: Measurement, title: string): Panel {
  const shown = lanes.filter((one) => one.measurement === measurement && isShown(one.lane));
  return { title, measurement, names: [...new Set(shown.map(({ lane }) => lane))] };
}

// pt-kill takes so long that the other bars would be too short to compare.
function isShown(lane: string): boolean {
  return !lane.includes('SELECT 1') && lane !== 'pt-kill';
}

function median(
  lanes: readonly LaneResult[],
  measurement: Measurement,
  server: string,
  name: string,
): number | null {
  const found = lanes.find(
    (one) => one.measurement === measurement && one.server === server && one.lane === name,
  );
  return found?.p50 ?? null;
}
