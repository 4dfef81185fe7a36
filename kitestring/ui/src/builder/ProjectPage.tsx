/** The page of a connector that is being built: its parts, a form and its YAML, and a test on the real API. */
import { ActionIcon, Alert, Anchor, Breadcrumbs, Button, Group, Menu, SegmentedControl, Skeleton, Stack, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconArrowBackUp, IconArrowForwardUp, IconDots, IconDownload, IconHistory, IconPackageExport, IconTestPipe } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';

import type { Schema, Values } from '../form/schema';
import { useWorkspace } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { notifyError } from '../shell/notify';
import { PageHeader } from '../shell/PageHeader';
import { t } from '../text';
import { Published } from './BuilderPage';
import classes from './builder.module.css';
import { useLanguage } from './editor/useLanguage';
import { useManifest } from './editor/useManifest';
import { YamlEditor } from './editor/YamlEditor';
import { Notes } from './Notes';
import { dropNotes, notesOf } from './beginningNotes';
import { type Doc, parse, spliced } from './document/document';
import { Outline } from './Outline';
import { PartForm } from './PartForm';
import { defectsOfParts, freeName, partKey, type Part, partOf } from './parts';
import { downloadYaml, type Project, projectQuery } from './projects';
import { ProposalsPanel } from './ProposalsPanel';
import { PublishDialog } from './PublishDialog';
import { PythonComponents } from './PythonComponents';
import type { JsonPath } from './reading/JsonTree';
import { TestPane } from './reading/TestPane';
import { TextDifference } from './TextDifference';
import { type Setting, settingsOf, settingsOfProposal, usesOf } from './uses';
import { useProjectKeys } from './useProjectKeys';
import { type Saving, useSaving } from './useSaving';
import { VersionsDrawer } from './VersionsDrawer';

type View = 'form' | 'yaml' | 'both';

export function ProjectPage() {
  const { projectId } = useParams({ strict: false }) as { projectId: string };
  const project = useQuery(projectQuery(projectId));
  if (project.error) return <ErrorNote error={project.error} retry={() => void project.refetch()} />;
  if (!project.data) return <Skeleton h={420} role="status" aria-label={t('Loading')} />;
  return <Workbench key={projectId} initial={project.data} />;
}

function Workbench({ initial }: { initial: Project }) {
  const { may } = useWorkspace();
  const mayEdit = may('editor');
  const manifest = useManifest(initial.manifest, mayEdit ? { workspaceId: initial.workspaceId } : {});
  const language = useLanguage();
  const { text, doc } = manifest;
  const saving = useSaving(initial, text, () => manifest.store.text, mayEdit);
  const { project } = saving;
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as { part?: string; view?: string };
  const view: View = search.view === 'yaml' || search.view === 'both' ? search.view : 'form';
  // Form and YAML side by side leave no room for the test, except in a very wide window.
  const narrow = useMediaQuery(view === 'both' ? '(max-width: 118em)' : '(max-width: 75em)', undefined, { getInitialValueInEffect: false });
  const [tested, setTested] = useState(true);
  // A narrow window shows one of both.
  const [pane, setPane] = useState<'edit' | 'test'>('edit');
  const [dialog, setDialog] = useState<'publish' | 'versions' | 'proposals' | null>(null);
  /** How often another part of the page asked for a test read. */
  const [reads, setReads] = useState(0);
  const [notes, setNotes] = useState(() => notesOf(project.projectId));

  const streams = useMemo(() => streamsOf(doc, manifest.defects), [doc, manifest.defects]);
  const partDefects = useMemo(() => defectsOfParts(manifest.defects), [manifest.defects]);
  const part = useMemo(() => shownPart(search.part, streams), [search.part, streams]);
  // The test keeps its stream while another part is open.
  const [last, setLast] = useState<string>();
  const stream = part.kind === 'stream' ? streams.find((each) => partKey(each.part) === partKey(part)) : (streams.find((each) => partKey(each.part) === last) ?? streams[0]);
  const streamPath = useMemo(() => (stream ? ([stream.part.list, stream.part.index] as const) : undefined), [stream?.part.list, stream?.part.index]);
  const spec = useMemo(() => (doc.get(['spec', 'connection_specification']) ?? {}) as Schema, [doc]);

  const go = useCallback(
    (change: { part?: string; view?: string }) => void navigate({ to: '/builder/$projectId', params: { projectId: project.projectId }, search: { ...search, ...change }, replace: true }),
    [navigate, project.projectId, search],
  );
  const choose = (next: Part) => {
    if (next.kind === 'stream') setLast(partKey(next));
    go({ part: partKey(next) });
  };

  function showPlace(from: number) {
    if (view === 'form') go({ view: 'both' });
    manifest.reveal(from);
  }

  useProjectKeys(mayEdit ? { save: () => void saving.save().catch(notifyError), undo: manifest.undo, redo: manifest.redo } : null);

  function addStream() {
    const name = freeName('records', streams.map((each) => each.name));
    const index = doc.count(['streams']);
    manifest.apply(doc.insert(['streams'], index, newStream(name, doc)));
    choose({ kind: 'stream', list: 'streams', index });
  }

  /** The text with one value after the other: each edit is a splice of the text that the one before has left. */
  function textWith(settings: readonly Setting[]): string {
    let current: Doc = doc;
    for (const { path, value } of settings) current = parse(spliced(current.text, current.set(path, value)));
    return current.text;
  }

  function set(settings: readonly Setting[]) {
    const [only, ...more] = settings;
    if (only && more.length === 0) return manifest.apply(doc.set(only.path, only.value));
    manifest.replace(textWith(settings));
  }

  const uses = (path: JsonPath, answer: unknown, value: unknown) => usesOf(answer, path, (pick) => set(settingsOf(pick, streamPath!, value, (at) => doc.get(at))));
  const declare = (schema: Values) => set([{ path: [...streamPath!, 'schema_loader'], value: { type: 'InlineSchemaLoader', schema } }]);

  const outline = <Outline part={part} streams={streams} defects={partDefects} choose={choose} add={mayEdit ? addStream : undefined} />;
  const form = <PartForm key={partKey(part)} part={part} manifest={manifest} language={language} saving={saving} mayEdit={mayEdit} names={streams.map((each) => each.name)} choose={choose} showPlace={showPlace} />;
  const yaml = <YamlEditor manifest={manifest} language={language} readOnly={!mayEdit} />;
  return (
    <>
      <PageHeader
        sticky
        title={project.name}
        above={
          <Breadcrumbs>
            <Anchor component={Link} to="/builder" size="sm">
              {t('Builder')}
            </Anchor>
          </Breadcrumbs>
        }
        note={
          <Group gap="sm">
            <Published project={project} />
            {mayEdit && <SavingNote saving={saving} />}
          </Group>
        }
      >
        {mayEdit && (
          <Group gap={4}>
            <ActionIcon variant="default" size="lg" title={t('Undo (Ctrl-Z)')} aria-label={t('Undo')} disabled={!manifest.canUndo} onClick={manifest.undo}>
              <IconArrowBackUp size={18} aria-hidden />
            </ActionIcon>
            <ActionIcon variant="default" size="lg" title={t('Redo (Ctrl-Y)')} aria-label={t('Redo')} disabled={!manifest.canRedo} onClick={manifest.redo}>
              <IconArrowForwardUp size={18} aria-hidden />
            </ActionIcon>
          </Group>
        )}
        <SegmentedControl
          aria-label={t('View')}
          value={view}
          onChange={(next) => go({ view: next === 'form' ? undefined : next })}
          data={[
            { value: 'form', label: t('Form') },
            { value: 'yaml', label: t('YAML') },
            { value: 'both', label: t('Both') },
          ]}
        />
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon variant="default" size="lg" aria-label={t('More actions')}>
              <IconDots size={18} aria-hidden />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item leftSection={<IconHistory size={15} aria-hidden />} onClick={() => setDialog('versions')}>
              {t('Versions')}
            </Menu.Item>
            <Menu.Item leftSection={<IconDownload size={15} aria-hidden />} onClick={() => downloadYaml(project.name, text)}>
              {t('Download the YAML')}
            </Menu.Item>
            {!narrow && (
              <Menu.Item leftSection={<IconTestPipe size={15} aria-hidden />} onClick={() => setTested(!tested)}>
                {tested ? t('Hide the test') : t('Show the test')}
              </Menu.Item>
            )}
          </Menu.Dropdown>
        </Menu>
        {mayEdit && (
          <Button leftSection={<IconPackageExport size={16} aria-hidden />} onClick={() => setDialog('publish')}>
            {t('Publish')}
          </Button>
        )}
      </PageHeader>
      <Stack gap="md">
        {saving.conflict && <Conflict saving={saving} text={text} replace={manifest.replace} />}
        <Notes
          notes={project.publishedVersion === null ? notes : []}
          drop={() => {
            dropNotes(project.projectId);
            setNotes([]);
          }}
        />
        <PythonComponents doc={doc} />
        {narrow && mayEdit && (
          <SegmentedControl
            fullWidth
            aria-label={t('What to show')}
            value={pane}
            onChange={(next) => setPane(next as 'edit' | 'test')}
            data={[
              { value: 'edit', label: t('Edit') },
              { value: 'test', label: t('Test') },
            ]}
          />
        )}
        <div className={classes.project} data-tested={tested || undefined} data-view={view} data-pane={mayEdit ? pane : 'edit'}>
          {view !== 'yaml' && <div className={classes.aside}>{outline}</div>}
          <div className={classes.editing} data-manifest>
            <div className={view === 'both' ? classes.both : undefined}>
              {view !== 'yaml' && <div key="form">{form}</div>}
              {view !== 'form' && (
                <div key="yaml" className={classes.yaml}>
                  {yaml}
                </div>
              )}
            </div>
          </div>
          {mayEdit && (
            // Hidden, not gone: the read, its limits and what was typed for it stay.
            <div className={classes.testing} hidden={!tested && !narrow}>
              <TestPane
                spec={spec}
                consents={doc.has(['spec', 'advanced_auth', 'oauth_config_specification'])}
                streams={streams.map((each) => each.name)}
                stream={stream?.name}
                place={stream && partKey(stream.part)}
                choose={(name) => {
                  const next = streams.find((each) => each.name === name);
                  if (next) choose(next.part);
                }}
                saving={saving}
                readRequests={reads}
                propose={streamPath ? () => setDialog('proposals') : undefined}
                uses={streamPath && uses}
                recordsPath={streamPath && doc.get([...streamPath, 'retriever', 'record_selector', 'extractor', 'field_path'])}
                useRecords={streamPath && ((path) => set(settingsOf({ kind: 'records', path }, streamPath, undefined, (at) => doc.get(at))))}
                declare={streamPath && declare}
                unpaged={streamPath !== undefined && isUnpaged((...path) => doc.get([...streamPath, 'retriever', ...path, 'type']))}
              />
            </div>
          )}
        </div>
      </Stack>
      {streamPath && (
        <ProposalsPanel opened={dialog === 'proposals'} close={() => setDialog(null)} stream={stream?.name} text={text} saving={saving} preview={(proposal) => textWith(settingsOfProposal(proposal))} take={(proposals) => set(proposals.flatMap(settingsOfProposal))} read={() => setReads(reads + 1)} />
      )}
      <PublishDialog
        opened={dialog === 'publish'}
        close={() => setDialog(null)}
        saving={saving}
        goTo={(line, column) => {
          const lines = text.split('\n');
          showPlace(lines.slice(0, line - 1).reduce((length, each) => length + each.length + 1, 0) + Math.max(column - 1, 0));
        }}
      />
      <VersionsDrawer opened={dialog === 'versions'} close={() => setDialog(null)} project={project} text={text} restore={mayEdit ? manifest.replace : undefined} />
    </>
  );
}

/** Whether a retriever that has pages has no pagination. A job that is polled has none to set. */
function isUnpaged(typeOf: (...path: string[]) => unknown): boolean {
  return (typeOf() ?? 'SimpleRetriever') === 'SimpleRetriever' && (typeOf('paginator') ?? 'NoPagination') === 'NoPagination';
}

/** What the server does not have yet, and why. */
function SavingNote({ saving }: { saving: Saving }) {
  const { unsaved, pending, error, conflict } = saving;
  return (
    <Text component="span" size="sm" c={error ? 'var(--mantine-color-error)' : 'dimmed'} role="status">
      {conflict
        ? t('Not saved: somebody else has changed it')
        : pending
          ? t('Saving…')
          : error
            ? t('Not saved: {reason}', { reason: error instanceof Error ? error.message : String(error) })
            : unsaved
              ? t('Not saved yet')
              : t('All changes are saved')}
    </Text>
  );
}

function Conflict({ saving, text, replace }: { saving: Saving; text: string; replace: (text: string) => void }) {
  const [compared, setCompared] = useState(false);
  const theirs = saving.conflict!;
  return (
    <Alert color="yellow" variant="light" title={t('Somebody else has changed this connector meanwhile')} role="alert">
      <Stack gap="xs">
        <Text size="sm" c="var(--mantine-color-text)">
          {t('Yours is revision {mine}, theirs is {theirs}. Nothing of yours is lost: with their text on the page, Undo brings yours back.', { mine: saving.project.revision, theirs: theirs.revision })}
        </Text>
        {compared && <TextDifference before={theirs.manifest} after={text} label={t('From their text to yours')} />}
        <Group gap="xs">
          <Button
            size="xs"
            onClick={() => {
              saving.takeTheirs();
              replace(theirs.manifest);
            }}
          >
            {t('Go on with theirs')}
          </Button>
          <Button size="xs" variant="default" onClick={saving.keepMine}>
            {t('Write mine over it')}
          </Button>
          <Button size="xs" variant="subtle" onClick={() => setCompared(!compared)} aria-expanded={compared}>
            {compared ? t('Hide the difference') : t('Show the difference')}
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}

interface StreamPart {
  name: string;
  part: Part & { kind: 'stream' };
  defects: number;
}

/** The streams of a manifest with their places; a dynamic stream is named by its template. */
function streamsOf(doc: Doc, defects: readonly { path: string }[]): StreamPart[] {
  return (['streams', 'dynamic_streams'] as const).flatMap((list) =>
    Array.from({ length: doc.count([list]) }, (_, index) => {
      const name = doc.get([list, index, 'name']) ?? doc.get([list, index, 'stream_template', 'name']);
      const place = `${list}[${index}]`;
      return {
        name: typeof name === 'string' || typeof name === 'number' ? String(name) : t('Stream {number}', { number: index + 1 }),
        part: { kind: 'stream' as const, list, index },
        defects: defects.filter(({ path }) => path === place || path.startsWith(`${place}.`) || path.startsWith(`${place}[`)).length,
      };
    }),
  );
}

/** The part of the address, where it is there; else the first stream. */
function shownPart(key: string | undefined, streams: readonly StreamPart[]): Part {
  const part = partOf(key);
  if (part && (part.kind !== 'stream' || streams.some((stream) => partKey(stream.part) === key))) return part;
  return streams[0]?.part ?? { kind: 'settings' };
}

/** Where the records of the first stream are, unless that place has the stream's own name. */
function sharedPath(doc: Doc): unknown {
  const path = doc.get(['streams', 0, 'retriever', 'record_selector', 'extractor', 'field_path']);
  return Array.isArray(path) && !path.includes(doc.get(['streams', 0, 'name'])) ? path : [];
}

/** What a new stream has in common with the first: the rest of a request, such as its body, is of one list. */
const SHARED = ['$ref', 'type', 'url_base', 'authenticator', 'request_headers', 'error_handler', '$parameters'];

/** A stream with the address, authentication, headers and pagination of the first one, and a path to fill in. */
function newStream(name: string, doc: Doc): Values {
  const requester = doc.written(['streams', 0, 'retriever', 'requester']);
  const paginator = doc.written(['streams', 0, 'retriever', 'paginator']);
  const shared = (value: unknown) => (typeof value === 'object' && value !== null ? structuredClone(value) : typeof value === 'string' ? value : undefined);
  const copied = shared(requester);
  return {
    type: 'DeclarativeStream',
    name,
    retriever: {
      type: 'SimpleRetriever',
      requester:
        typeof copied === 'object'
          ? { ...Object.fromEntries(Object.entries(copied as Values).filter(([field]) => SHARED.includes(field))), path: `/${name}`, http_method: 'GET' }
          : { type: 'HttpRequester', url_base: doc.get(['streams', 0, 'retriever', 'requester', 'url_base']) ?? 'https://api.example.com', path: `/${name}`, http_method: 'GET' },
      record_selector: { type: 'RecordSelector', extractor: { type: 'DpathExtractor', field_path: sharedPath(doc) } },
      ...(shared(paginator) !== undefined && !JSON.stringify(paginator).includes('body_json') && { paginator: shared(paginator) }),
    },
    schema_loader: { type: 'InlineSchemaLoader', schema: { type: 'object', additionalProperties: true, properties: {} } },
  };
}
