/** What a person has chosen to see of a test read. The tab and the forms stay for the next read; a slice and a page are of one read. */
import { useCallback, useState } from 'react';

export type RecordsForm = 'table' | 'json' | 'tree';
export type AnswerForm = 'tree' | 'json' | 'headers';

export interface ReadingChoice {
  /** Null until a tab is chosen: then the page shows the one that has something to look at. */
  tab: string | null;
  recordsForm: RecordsForm;
  answerForm: AnswerForm;
  /** Null until a slice is chosen. */
  slice: number | null;
  page: number;
}

export interface Choosing extends ReadingChoice {
  choose: (change: Partial<ReadingChoice>) => void;
}

const LASTING = { recordsForm: 'table', answerForm: 'tree' } as const;
const PLACE = { slice: null, page: 0 };

/** `startedMs`: when the read that is shown began; another read begins at its first slice and page. `stream`: its stream; each has its own tab. */
export function useReadingChoice(startedMs: number, stream: string | undefined): Choosing {
  const [lasting, setLasting] = useState<Pick<ReadingChoice, 'recordsForm' | 'answerForm'>>(LASTING);
  const [place, setPlace] = useState({ ...PLACE, startedMs } as Pick<ReadingChoice, 'slice' | 'page'> & { startedMs: number });
  const [tabs, setTabs] = useState<ReadonlyMap<string | undefined, string | null>>(new Map());
  const choose = useCallback(
    ({ slice, page, tab, ...change }: Partial<ReadingChoice>) => {
      if (tab !== undefined) setTabs((before) => new Map(before).set(stream, tab));
      if (Object.keys(change).length > 0) setLasting((before) => ({ ...before, ...change }));
      if (slice !== undefined || page !== undefined)
        setPlace((before) => ({ ...(before.startedMs === startedMs ? before : PLACE), ...(slice !== undefined && { slice }), ...(page !== undefined && { page }), startedMs }));
    },
    [startedMs, stream],
  );
  const { slice, page } = place.startedMs === startedMs ? place : PLACE;
  return { ...lasting, tab: tabs.get(stream) ?? null, slice, page, choose };
}
