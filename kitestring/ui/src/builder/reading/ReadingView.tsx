/** What a test read has brought: by slice and page the records, the answer and the request; state, schema and log. */
import { Alert, Badge, Button, Group, List, Pagination, SegmentedControl, Select, Stack, Tabs, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useState } from 'react';

import { plural, t } from '../../text';
import { ExchangeTitle, RequestView, ResponseView, textOf } from './ExchangeView';
import { JsonTree, type UsesOf } from './JsonTree';
import { LongText } from './LongText';
import type { Exchange, Reading, ReadPage, ReadSlice } from './reading';
import { RecordTable } from './RecordTable';
import type { AnswerForm, Choosing, RecordsForm } from './useReadingChoice';

interface Props {
  reading: Reading;
  running: boolean;
  choosing: Choosing;
  uses?: UsesOf;
  /** Say where in the answers the records are. */
  useRecords?: (path: string[]) => void;
  /** Where the records are by the manifest. */
  recordsPath?: unknown;
  declare?: (schema: Record<string, unknown>) => void;
  readOn?: () => void;
}

export function ReadingView({ reading, running, choosing, uses, useRecords, recordsPath, declare, readOn }: Props) {
  const { choose, tab, page: pageIndex } = choosing;
  // Until another is chosen, the first slice with records: that of the first parent may have none.
  const sliceIndex = choosing.slice ?? Math.max(reading.slices.findIndex((each) => each.pages.some((read) => read.records.length > 0)), 0);
  const slice = reading.slices[Math.min(sliceIndex, reading.slices.length - 1)];
  const page = slice?.pages[Math.min(pageIndex, slice.pages.length - 1)];
  // An answer without records is what one has to look at.
  const looked = page && page.records.length === 0 && !page.likely ? 'response' : 'records';
  const current = tab ?? looked;
  // Before its first request: what the vendor answered to the one for a token, or for a parent.
  const refused = reading.error === '' ? undefined : reading.other.at(-1);
  const different = reading.schemaDifference.filter((difference) => difference.kind !== 'unseen').length;
  return (
    <Stack gap="sm">
      {(reading.slices.length > 1 || (slice?.pages.length ?? 0) > 1) && (
        <Group gap="sm" justify="space-between">
          {reading.slices.length > 1 && (
            <Select
              size="xs"
              aria-label={t('Slice')}
              data={reading.slices.map((each, index) => ({ value: String(index), label: nameOf(each, index) }))}
              value={String(Math.min(sliceIndex, reading.slices.length - 1))}
              onChange={(value) => choose({ slice: Number(value), page: 0 })}
              allowDeselect={false}
              flex={1}
              miw={160}
            />
          )}
          {slice && slice.pages.length > 1 && (
            <Pagination
              size="sm"
              total={slice.pages.length}
              value={Math.min(pageIndex, slice.pages.length - 1) + 1}
              onChange={(value) => choose({ page: value - 1 })}
              siblings={0}
              getItemProps={(number) => ({ 'aria-label': t('Page {number}', { number }) })}
              getControlProps={(control) => ({ 'aria-label': control === 'next' ? t('Next page') : control === 'previous' ? t('Previous page') : t('Page') })}
            />
          )}
        </Group>
      )}
      <Tabs value={current} onChange={(next) => choose({ tab: next })} keepMounted={false} styles={{ tab: { paddingInline: 10 } }}>
        <Tabs.List>
          <Tabs.Tab value="records">{t('Records')}</Tabs.Tab>
          <Tabs.Tab value="response">{t('Answer')}</Tabs.Tab>
          <Tabs.Tab value="request">{t('Request')}</Tabs.Tab>
          <Tabs.Tab value="state">{t('State')}</Tabs.Tab>
          <Tabs.Tab value="schema" rightSection={different > 0 ? <Mark count={different} /> : undefined}>
            {t('Schema')}
          </Tabs.Tab>
          <Tabs.Tab value="log" rightSection={reading.other.length > 0 ? <Mark count={reading.other.length} /> : undefined}>
            {t('Log')}
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="records" pt="sm">
          <Records page={page} reading={reading} running={running} choosing={choosing} useRecords={useRecords} recordsPath={recordsPath} />
        </Tabs.Panel>
        <Tabs.Panel value="response" pt="sm">
          {page?.exchange ? (
            // The key: what is open in the tree is of one answer.
            <ResponseView key={`${sliceIndex} ${pageIndex}`} exchange={page.exchange} uses={uses} form={choosing.answerForm} changeForm={(answerForm) => choose({ answerForm })} />
          ) : !page && refused ? <Attempt exchange={refused} /> : <Cached page={page} />}
        </Tabs.Panel>
        <Tabs.Panel value="request" pt="sm">
          <Stack gap="sm">
            {page?.exchange ? <RequestView exchange={page.exchange} /> : <Cached page={page} />}
            {page && page.attempts.length > 0 && (
              <>
                <Text size="sm" fw={600}>
                  {plural(page.attempts.length, '{count} attempt failed before', '{count} attempts failed before')}
                </Text>
                {page.attempts.map((attempt, index) => (
                  <Attempt key={index} exchange={attempt} />
                ))}
              </>
            )}
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="state" pt="sm">
          <State reading={reading} slice={slice} readOn={readOn} running={running} />
        </Tabs.Panel>
        <Tabs.Panel value="schema" pt="sm">
          <Schema reading={reading} declare={declare} running={running} />
        </Tabs.Panel>
        <Tabs.Panel value="log" pt="sm">
          <Log reading={reading} />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

function Mark({ count }: { count: number }) {
  return (
    <Badge size="sm" circle={count < 10} variant="light" c="var(--mantine-color-text)">
      {count}
    </Badge>
  );
}

function Cached({ page }: { page: ReadPage | undefined }) {
  return (
    <Text size="sm" c="dimmed">
      {page ? t('These records came from the cache: a request before this one had read them already.') : t('No answer yet.')}
    </Text>
  );
}

function Records({ page, reading, running, choosing, useRecords, recordsPath }: { page: ReadPage | undefined } & Pick<Props, 'reading' | 'running' | 'choosing' | 'useRecords' | 'recordsPath'>) {
  const form = choosing.recordsForm;
  const likely = page && page.records.length <= 1 ? page.likely : null;
  const isRead = likely !== null && JSON.stringify(recordsPath) === JSON.stringify(likely.path);
  const offer = likely && !isRead && useRecords && likely.count > (page?.records.length ?? 0) && (
    <Alert color="kite" variant="light" p="sm">
      <Group justify="space-between" gap="xs">
        <Text size="sm">
          {likely.path.length > 0
            ? plural(likely.count, 'The answer has a list of {count} object in “{path}”. Is it the records?', 'The answer has a list of {count} objects in “{path}”. Are these the records?', { path: likely.path.join('.') })
            : plural(likely.count, 'The answer is a list of {count} object. Is it the records?', 'The answer is a list of {count} objects. Are these the records?')}
        </Text>
        <Button size="xs" onClick={() => useRecords(likely.path)}>
          {t('Yes, read these')}
        </Button>
      </Group>
    </Alert>
  );
  if (!page || page.records.length === 0)
    return (
      <Stack gap="xs">
        {offer}
        <Text size="sm" c="dimmed">
          {page
            ? isRead
              ? t('No record of this page is left: by the state, a filter or a cursor.')
              : t('No record on this page. See in the answer where the records are, and choose one of them.')
            : running
              ? t('Waiting for the first answer…')
              : reading.error
                ? t('No request was sent for this stream: the read ended before, with the error above. The log has the requests that were sent.')
                : t('No request was sent for this stream: it has no partition. The log has the requests for its parents.')}
        </Text>
        <Rejects page={page} />
      </Stack>
    );
  return (
    <Stack gap="xs">
      {offer}
      <Group justify="flex-end">
        <SegmentedControl
          size="xs"
          aria-label={t('Form of the records')}
          value={form}
          onChange={(next) => choosing.choose({ recordsForm: next as RecordsForm })}
          data={[
            { value: 'table', label: t('Table') },
            { value: 'json', label: t('JSON') },
            { value: 'tree', label: t('Tree') },
          ]}
        />
      </Group>
      {form === 'table' && <RecordTable records={page.records} label={t('Records')} />}
      {form === 'json' && <LongText text={textOf(page.records)} label={t('Records as JSON')} copy />}
      {form === 'tree' && <JsonTree value={page.records} label={t('Records as a tree')} />}
      <Rejects page={page} />
    </Stack>
  );
}

function Rejects({ page }: { page: ReadPage | undefined }) {
  if (!page || page.rejects.length === 0) return null;
  const reasons = [...new Set(page.rejects.map((reject) => reject.reason))];
  return (
    <Alert color="yellow" variant="light" icon={<IconAlertTriangle aria-hidden />} title={plural(page.rejects.length, '{count} record was rejected', '{count} records were rejected')}>
      <List size="sm">
        {reasons.slice(0, 10).map((reason) => (
          <List.Item key={reason}>{reason}</List.Item>
        ))}
      </List>
    </Alert>
  );
}

function State({ reading, slice, readOn, running }: { reading: Reading; slice: ReadSlice | undefined; readOn?: () => void; running: boolean }) {
  const state = reading.state ?? slice?.state ?? {};
  const empty = Object.keys(state).length === 0;
  return (
    <Stack gap="xs">
      <Text size="sm" c="dimmed">
        {empty ? t('No state: each sync reads this stream from its beginning.') : t('What the next sync would begin from.')}
      </Text>
      {!empty && <LongText text={textOf(state)} label={t('State')} copy />}
      {!empty && !running && readOn && (
        <Group>
          <Button size="xs" variant="default" onClick={readOn}>
            {t('Read again from this state')}
          </Button>
        </Group>
      )}
    </Stack>
  );
}

function Schema({ reading, declare, running }: { reading: Reading; declare?: (schema: Record<string, unknown>) => void; running: boolean }) {
  const { schema, schemaDifference: differences } = reading;
  if (running || !schema || Object.keys(schema).length === 0)
    return (
      <Text size="sm" c="dimmed">
        {running ? t('Known when the read has ended.') : t('No record, no schema.')}
      </Text>
    );
  return (
    <Stack gap="xs">
      {differences.length === 0 ? (
        <Text size="sm" role="status">
          {t('The declared schema fits the records.')}
        </Text>
      ) : (
        <>
          <List size="sm" spacing={2}>
            {differences.slice(0, 50).map((difference) => (
              <List.Item key={`${difference.kind} ${difference.path}`}>
                {difference.sentence}
              </List.Item>
            ))}
          </List>
          {differences.length > 50 && (
            <Text size="sm" c="dimmed">
              {t('And {count} more.', { count: differences.length - 50 })}
            </Text>
          )}
        </>
      )}
      {declare && differences.length > 0 && (
        <Group>
          <Button size="xs" onClick={() => declare(schema)}>
            {t('Declare what was read')}
          </Button>
        </Group>
      )}
      <LongText text={textOf(schema)} label={t('Schema of the records')} copy />
    </Stack>
  );
}

function Log({ reading }: { reading: Reading }) {
  return (
    <Stack gap="sm">
      {reading.other.length > 0 && (
        <>
          <Text size="sm" fw={600}>
            {plural(reading.other.length, '{count} other request: a token, or a parent stream', '{count} other requests: tokens, or parent streams')}
          </Text>
          {reading.other.slice(0, 50).map((exchange, index) => (
            <Attempt key={index} exchange={exchange} />
          ))}
        </>
      )}
      {reading.logs.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t('No line in the log.')}
        </Text>
      ) : (
        <LongText text={reading.logs.map((line) => `${line.level.toUpperCase()} ${line.message}`).join('\n')} label={t('Log')} copy />
      )}
    </Stack>
  );
}

function Attempt({ exchange }: { exchange: Exchange }) {
  const [opened, setOpened] = useState(false);
  const [form, setForm] = useState<AnswerForm>('tree');
  return (
    <Stack gap={4}>
      <Group gap="xs" wrap="nowrap" justify="space-between" align="flex-start">
        <ExchangeTitle exchange={exchange} />
        <Button size="compact-xs" variant="subtle" aria-expanded={opened} onClick={() => setOpened(!opened)} style={{ flex: 'none' }}>
          {opened ? t('Close') : t('Show')}
        </Button>
      </Group>
      {opened && (
        <>
          <RequestView exchange={exchange} />
          <ResponseView exchange={exchange} form={form} changeForm={setForm} />
        </>
      )}
    </Stack>
  );
}

export function nameOf(slice: ReadSlice, index: number): string {
  const parts = [...Object.entries(slice.partition), ...Object.entries(slice.bounds)]
    .filter(([, value]) => ['string', 'number'].includes(typeof value))
    .map(([name, value]) => `${name}: ${String(value)}`);
  return parts.length > 0 ? `${index + 1} · ${parts.join(', ')}` : t('Slice {number}', { number: index + 1 });
}
