/** Reads a stream of the manifest on the real API, with inputs that the server keeps sealed, and shows what comes. */
import { Alert, Button, Card, Collapse, Group, Loader, NumberInput, Popover, Select, SimpleGrid, Stack, Text, Title, UnstyledButton } from '@mantine/core';
import { IconAdjustments, IconAlertTriangle, IconChevronRight, IconPlayerPlay, IconPlayerStop, IconSparkles } from '@tabler/icons-react';
import { useEffect, useMemo, useRef, useState } from 'react';

import { cleanValue, initialValue, resolveSchema, type Schema, validate, type Values } from '../../form/schema';
import { SpecForm } from '../../form/SpecForm';
import { ErrorNote } from '../../shell/ErrorNote';
import { duration } from '../../shell/format';
import { plural, t } from '../../text';
import { PROJECTS } from '../projects';
import type { Saving } from '../useSaving';
import type { UsesOf } from './JsonTree';
import type { Reading } from './reading';
import { ReadingView } from './ReadingView';
import { hintOf, refusesCredentials } from './refusal';
import { DraftConsent } from './DraftConsent';
import { type StreamRead, useReading } from './useReading';
import { useReadingChoice } from './useReadingChoice';

interface Limits {
  slices: number;
  pages: number;
  records: number;
}

const LIMITS: Limits = { slices: 5, pages: 5, records: 1000 };
const MOST: Limits = { slices: 1000, pages: 1000, records: 100_000 };

interface Props {
  spec: Schema;
  /** Whether the manifest describes a consent in the browser. */
  consents: boolean;
  streams: string[];
  stream: string | undefined;
  /** The place of the stream in the manifest: it stays the same stream under another name. */
  place: string | undefined;
  choose: (stream: string) => void;
  saving: Saving;
  uses?: UsesOf;
  useRecords?: (path: string[]) => void;
  recordsPath?: unknown;
  declare?: (schema: Values) => void;
  propose?: () => void;
  /** Each higher number is a read that another part of the page asks for. */
  readRequests: number;
  /** Whether the stream has no pagination. */
  unpaged: boolean;
}

export function TestPane({ spec, consents, streams, stream, place, choose, saving, uses, useRecords, recordsPath, declare, propose, readRequests, unpaged }: Props) {
  const schema = useMemo(() => resolveSchema(spec), [spec]);
  const inputs = useInputs(schema, saving);
  const [opened, setOpened] = useState<boolean | null>(null);
  const [limits, setLimits] = useState(LIMITS);
  const { reads, running: anyRuns, error, start, stop } = useReading();
  // What was read of another stream is not shown as if it were of this one.
  const own = useMemo(() => reads.filter((read) => read.place === place), [reads, place]);
  const [chosenMs, setChosen] = useState<number | null>(null);
  const visible = own.find(({ startedMs }) => startedMs === chosenMs) ?? own[own.length - 1];
  const reading = visible?.reading;
  const running = anyRuns && visible !== undefined && visible.endedMs === null;
  const choosing = useReadingChoice(visible?.startedMs ?? 0, place);
  const [failure, setFailure] = useState<unknown>(null);
  // The text is saved before it is read.
  const [starting, setStarting] = useState(false);
  // Open until the read: a panel that folds with the last missing letter takes the focus away from who types it.
  if (opened === null && inputs.missing > 0) setOpened(true);
  const expanded = opened ?? false;
  const fields = Object.keys(schema.properties ?? {}).length;

  // Where the records are was chosen, or suggestions were taken: read again with it.
  const readsNext = useRef(false);
  const answered = useRef(readRequests);
  useEffect(() => {
    if (!readsNext.current && answered.current === readRequests) return;
    readsNext.current = false;
    answered.current = readRequests;
    void read();
  });

  /** Whether nothing is missing; otherwise the inputs say what. */
  function inputsAreWhole(): boolean {
    if (inputs.missing === 0) return true;
    inputs.touch();
    setOpened(true);
    return false;
  }

  /** Suggestions are tried with the inputs as they are on the page. */
  async function suggest() {
    if (!inputsAreWhole()) return;
    setFailure(null);
    try {
      const change = inputs.change();
      if (change) await saving.save(change);
      propose?.();
    } catch (reason) {
      setFailure(reason);
    }
  }

  async function read(state?: Values, within = limits) {
    if (!inputsAreWhole()) return;
    setFailure(null);
    setStarting(true);
    setChosen(null);
    try {
      const project = await saving.save(inputs.change());
      setOpened(null);
      setStarting(false);
      await start(`${PROJECTS}/${project.projectId}/read/events`, { manifest: project.manifest, stream, ...within, ...(state && { state }) }, { place, fromState: state !== undefined });
    } catch (reason) {
      setFailure(reason);
      setStarting(false);
    }
  }

  return (
    <Card withBorder padding="md" component="section" aria-label={t('Test')}>
      <Stack gap="sm">
        <Group justify="space-between" gap="xs">
          <Title order={2} size="h5">
            {t('Test')}
          </Title>
          <Group gap={6}>
            <LimitsButton limits={limits} change={setLimits} />
            {propose && (
              <Button size="xs" variant="default" leftSection={<IconSparkles size={15} aria-hidden />} onClick={() => void suggest()} disabled={!stream}>
                {t('Suggest settings')}
              </Button>
            )}
          </Group>
        </Group>
        <Group gap="xs" wrap="nowrap">
          <Select
            aria-label={t('Stream to read')}
            placeholder={t('Choose a stream')}
            data={[...new Set(streams)]}
            value={stream ?? null}
            onChange={(value) => value !== null && choose(value)}
            allowDeselect={false}
            searchable={streams.length > 8}
            limit={100}
            flex={1}
            miw={120}
          />
          {anyRuns ? (
            <Button variant="default" leftSection={<IconPlayerStop size={16} aria-hidden />} onClick={stop}>
              {t('Stop')}
            </Button>
          ) : (
            <Button leftSection={<IconPlayerPlay size={16} aria-hidden />} disabled={!stream} loading={starting} onClick={() => void read()}>
              {t('Read')}
            </Button>
          )}
        </Group>
        {fields > 0 && (
          <div>
            <UnstyledButton onClick={() => setOpened(!expanded)} aria-expanded={expanded} py={4}>
              <Group gap={6} wrap="nowrap">
                <IconChevronRight size={16} aria-hidden style={{ transform: expanded ? 'rotate(90deg)' : undefined, flex: 'none' }} />
                <Text size="sm" fw={600}>
                  {t('Inputs of the test')}
                  <Text span size="sm" c="dimmed" fw={400}>
                    {' · '}
                    {inputs.missing > 0 ? plural(inputs.missing, '{count} is missing', '{count} are missing') : t('kept sealed on the server')}
                  </Text>
                </Text>
              </Group>
            </UnstyledButton>
            <Collapse expanded={expanded}>
              {expanded && (
                <Stack pt="xs" gap="sm">
                  {consents && <DraftConsent saving={saving} change={inputs.change} begun={() => setOpened(true)} />}
                  <SpecForm schema={schema} value={inputs.value} errors={inputs.errors} onChange={inputs.set} />
                  {inputs.change() !== undefined && (
                    <Group>
                      <Button size="xs" variant="default" loading={saving.pending} onClick={() => void saving.save(inputs.change()).catch(setFailure)}>
                        {t('Keep the inputs')}
                      </Button>
                    </Group>
                  )}
                </Stack>
              )}
            </Collapse>
          </div>
        )}
        {(failure !== null || error !== null) && <ErrorNote error={failure ?? error} />}
        {own.length > 1 && (
          <Select
            size="xs"
            label={t('Read to show')}
            data={own.map((read, index) => ({ value: String(read.startedMs), label: nameOfRead(read, index) }))}
            value={String(visible?.startedMs)}
            onChange={(value) => setChosen(Number(value))}
            allowDeselect={false}
          />
        )}
        {visible && (
          <Progress
            read={visible}
            running={running || starting}
            raise={() => {
              const more = raised(limits, visible.reading.limited);
              setLimits(more);
              void read(undefined, more);
            }}
            unpaged={unpaged}
            failed={error !== null && visible === reads[reads.length - 1]}
            openInputs={fields > 0 && !expanded ? () => setOpened(true) : undefined}
          />
        )}
        {reading && (reading.slices.length > 0 || reading.other.length > 0 || reading.logs.length > 0) && (
          <ReadingView
            choosing={choosing}
            reading={reading}
            running={running}
            uses={uses}
            recordsPath={recordsPath}
            useRecords={
              useRecords &&
              ((path) => {
                useRecords(path);
                readsNext.current = true;
              })
            }
            declare={declare}
            readOn={reading.state ? () => void read(reading.state as Values) : undefined}
          />
        )}
        {!reading && (
          <Text size="sm" c="dimmed">
            {anyRuns
              ? t('Another stream is being read.')
              : t('Read sends real requests, at most {pages} pages of each slice, and writes nothing anywhere.', { pages: limits.pages })}
          </Text>
        )}
      </Stack>
    </Card>
  );
}

/** The inputs of the test: the server keeps them, a stored secret is masked. */
function useInputs(schema: Schema, saving: Saving) {
  const stored = saving.project.testConfiguration;
  const base = JSON.stringify(stored);
  const [draft, setDraft] = useState<{ base: string; value: Values } | null>(null);
  // Only what was missing when a read was wanted: an input that the manifest gets later is not wrong before anybody types.
  const [touched, setTouched] = useState<readonly string[]>([]);
  const value = draft && draft.base === base ? draft.value : { ...((initialValue(schema) ?? {}) as Values), ...stored };
  const problems = useMemo(() => validate(schema, value), [schema, value]);
  const cleaned = cleanValue(schema, value) as Values;
  return {
    value,
    missing: Object.keys(problems).length,
    errors: Object.fromEntries(Object.entries(problems).filter(([path]) => touched.includes(path))),
    touch: () => setTouched(Object.keys(problems)),
    set: (next: Values) => setDraft({ base, value: next }),
    /** What has to be saved, if anything. */
    change: () => (JSON.stringify(cleaned) === JSON.stringify(cleanValue(schema, stored)) ? undefined : { testConfiguration: cleaned }),
  };
}

/** What happens while it runs, and how it ended. */
/** `failed`: the read did not begin, as with a text that is none. */
function Progress({ read, running, raise, unpaged, failed, openInputs }: { read: StreamRead; running: boolean; raise: () => void; unpaged: boolean; failed: boolean; openInputs?: () => void }) {
  const { reading, startedMs, endedMs } = read;
  const runningMs = useElapsed(running, startedMs);
  const elapsedMs = endedMs === null ? runningMs : endedMs - startedMs;
  const figures = `${plural(reading.records, '{count} record', '{count} records')} · ${plural(reading.pages, '{count} page', '{count} pages')}${
    reading.slices.length > 1 ? ` · ${plural(reading.slices.length, '{count} slice', '{count} slices')}` : ''
  } · ${duration(elapsedMs)}`;
  const limits = reading.limited.filter((limit) => limit in MOST);
  return (
    <Stack gap={6}>
      <Group gap={8} role="status">
        {running && <Loader size={14} aria-hidden />}
        <Text size="sm" fw={600}>
          {running ? t('Reading…') : failed || reading.error ? t('Ended with an error') : reading.limited.includes('stopped') ? t('Stopped') : limits.length > 0 ? t('Read as far as the limits') : t('Read to its end')}
        </Text>
        <Text size="sm" c="dimmed">
          {figures}
        </Text>
        {!running && limits.length > 0 && (
          <Button size="compact-xs" variant="subtle" onClick={raise}>
            {t('Raise the limits and read again')}
          </Button>
        )}
      </Group>
      {!running && unpaged && !reading.error && reading.records > 1 && (
        <Text size="sm" c="dimmed">
          {t('One page of each list was read: no pagination is set. Where the API has more pages, “Suggest settings” finds how it gives them.')}
        </Text>
      )}
      {reading.limited.includes('bytes') && (
        <Text size="sm" c="dimmed">
          {t('The answers of a test may have 50 MB together.')}
        </Text>
      )}
      {!running && <Warnings reading={reading} />}
      {reading.error && (
        <Alert color="red" variant="light" role="alert" icon={<IconAlertTriangle aria-hidden />} title={sentence(reading.error)}>
          {hintOf(reading) && (
            <Text size="sm" c="var(--mantine-color-text)">
              {hintOf(reading)}
            </Text>
          )}
          {openInputs && refusesCredentials(reading) && (
            <Button size="xs" variant="default" mt="xs" onClick={openInputs}>
              {t('Open the inputs of the test')}
            </Button>
          )}
        </Alert>
      )}
    </Stack>
  );
}

/** Number, time and records of a read, and whether it began from a state. */
function nameOfRead({ reading, startedMs, fromState }: StreamRead, index: number): string {
  const parts = [String(index + 1), new Date(startedMs).toLocaleTimeString(), plural(reading.records, '{count} record', '{count} records')];
  return [...parts, ...(fromState ? [t('from a state')] : [])].join(' · ');
}

/** What makes a read doubtful that ended without an error; the log has all of it. */
function Warnings({ reading }: { reading: Reading }) {
  const warnings = [...new Set(reading.logs.filter(({ level }) => level === 'warning').map(({ message }) => message))].slice(0, 3);
  if (warnings.length === 0) return null;
  return (
    <Alert color="yellow" variant="light" role="alert" icon={<IconAlertTriangle aria-hidden />} title={t('Look at this before you publish')}>
      <Stack gap={4}>
        {warnings.map((warning) => (
          <Text key={warning} size="sm" c="var(--mantine-color-text)" style={{ overflowWrap: 'anywhere' }}>
            {sentence(warning)}
          </Text>
        ))}
      </Stack>
    </Alert>
  );
}

function useElapsed(running: boolean, startedMs: number): number {
  const [nowMs, setNow] = useState(Date.now());
  const last = useRef(nowMs);
  useEffect(() => {
    setNow(Date.now());
    if (!running) return;
    const timer = window.setInterval(() => setNow(Date.now()), 500);
    return () => window.clearInterval(timer);
  }, [running, startedMs]);
  last.current = nowMs;
  return Math.max(0, nowMs - startedMs);
}

function LimitsButton({ limits, change }: { limits: Limits; change: (limits: Limits) => void }) {
  const names: [keyof Limits, string, string][] = [
    ['slices', t('Slices'), t('A slice is one partition, such as one parent record, or one period of time.')],
    ['pages', t('Pages of a slice'), ''],
    ['records', t('Records'), ''],
  ];
  return (
    <Popover position="bottom-end" withArrow trapFocus shadow="md">
      <Popover.Target>
        <Button size="xs" variant="default" leftSection={<IconAdjustments size={15} aria-hidden />}>
          {t('Limits')}
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={t('Limits of the test')}>
        <SimpleGrid cols={1} spacing="xs" w={200}>
          {names.map(([name, label, help]) => (
            <NumberInput
              key={name}
              size="xs"
              label={label}
              description={`${help} ${t('At most {count}', { count: MOST[name] })}`.trim()}
              min={1}
              max={MOST[name]}
              clampBehavior="strict"
              value={limits[name]}
              onChange={(value) => typeof value === 'number' && change({ ...limits, [name]: value })}
            />
          ))}
        </SimpleGrid>
      </Popover.Dropdown>
    </Popover>
  );
}

/** Ten times as much of what ended the read. */
export function raised(limits: Limits, limited: readonly string[]): Limits {
  const next = { ...limits };
  for (const name of Object.keys(limits) as (keyof Limits)[]) if (limited.includes(name)) next[name] = Math.min(limits[name] * 10, MOST[name]);
  return next;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
