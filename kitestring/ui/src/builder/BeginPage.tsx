/** The beginning of a connector: what one has of the API, then its streams, then the project. */
import { Anchor, Breadcrumbs, Button, Card, FileButton, Group, Stack, Text, Textarea, TextInput, UnstyledButton } from '@mantine/core';
import { IconApi, IconFile, IconFileCode, IconFileUpload, IconLink, IconPuzzle, IconTerminal2, IconWorldWww } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { type KeyboardEvent, type ReactNode, useRef, useState } from 'react';

import { api } from '../api/client';
import { ConnectorChoice } from '../endpoint/ConnectorChoice';
import { useWorkspace } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { PageHeader } from '../shell/PageHeader';
import { plural, t } from '../text';
import classes from './builder.module.css';
import { type BeginKind, BUILDER, createProject, type Beginning, type Project, PROJECTS } from './projects';
import { keepNotes } from './beginningNotes';
import { slimHar } from './slimHar';
import { StreamChoice } from './StreamChoice';

type Kind = BeginKind | 'connector';
/** Files beside a manifest, by their paths: components.py, schemas/NAME.json. */
type Files = Record<string, string>;
const MIB = 1024 * 1024;
/** The most that the server takes. */
const MAX_FILE = 16 * MIB;
/** A HAR file is reduced in the browser to its calls with JSON answers. */
const MAX_HAR = 256 * MIB;

function kinds(): { kind: Kind; icon: typeof IconLink; title: string; what: string }[] {
  return [
    { kind: 'url', icon: IconLink, title: t('An address'), what: t('Of one list of the API. Its answer is looked at.') },
    { kind: 'curl', icon: IconTerminal2, title: t('A cURL line'), what: t('From the documentation or the browser. Secrets become inputs.') },
    { kind: 'openapi', icon: IconApi, title: t('An OpenAPI document'), what: t('Version 2 or 3. Its list endpoints become streams.') },
    { kind: 'har', icon: IconWorldWww, title: t('A HAR file'), what: t('Requests that a browser recorded.') },
    { kind: 'manifest', icon: IconFileCode, title: t('A manifest'), what: t('YAML of Kitestring or of Airbyte’s low-code language.') },
    { kind: 'connector', icon: IconPuzzle, title: t('A connector'), what: t('A copy of an installed connector, for your changes.') },
    { kind: 'empty', icon: IconFile, title: t('Nothing yet'), what: t('One stream, to fill in by hand.') },
  ];
}

export function BeginPage() {
  const { workspaceId } = useWorkspace();
  const navigate = useNavigate();
  const [kind, setKind] = useState<Kind>('url');
  const [text, setText] = useState('');
  const [name, setName] = useState('');
  const below = useRef<HTMLDivElement>(null);
  const [files, setFiles] = useState<Files>({});
  const [beginning, setBeginning] = useState<Beginning>();

  const create = useMutation({
    mutationFn: async (begun: Beginning) => {
      const { manifest, testConfiguration } = begun;
      const project = await createProject({ workspaceId: workspaceId!, name: name.trim() || begun.name, manifest, origin: { kind }, testConfiguration });
      keepNotes(project.projectId, begun.notes);
      return project;
    },
    onSuccess: ({ projectId }) => void navigate({ to: '/builder/$projectId', params: { projectId } }),
  });
  const begin = useMutation({
    mutationFn: async (streams?: string[]): Promise<void> => {
      const body = { workspaceId, kind, ...bodyOf(kind as BeginKind, text), ...(streams && { streams }), ...(kind === 'manifest' && { files }) };
      const begun = await api.ask<Beginning>(`${BUILDER}/begin`, body);
      if (!streams && begun.streams.length > 1 && kind !== 'manifest') setBeginning(begun);
      else create.mutate(begun);
    },
  });
  const copy = useMutation({
    mutationFn: (definitionId: string) => api.post<Project>(`${PROJECTS}/from-connector`, { workspaceId, definitionId }),
    onSuccess: ({ projectId }) => void navigate({ to: '/builder/$projectId', params: { projectId } }),
  });
  const error = begin.error ?? create.error ?? copy.error;
  const busy = begin.isPending || create.isPending || copy.isPending;

  return (
    <>
      <PageHeader
        title={t('New connector')}
        note={beginning ? t('Which of its lists become streams? Each can be removed later, and others added.') : t('What do you have of the API?')}
        above={
          <Breadcrumbs>
            <Anchor component={Link} to="/builder" size="sm">
              {t('Builder')}
            </Anchor>
          </Breadcrumbs>
        }
      />
      {beginning ? (
        <StreamChoice
          beginning={beginning}
          busy={busy}
          error={error}
          back={() => setBeginning(undefined)}
          create={(names) => (isIncluded(beginning, names) ? create.mutate(beginning) : begin.mutate(names))}
        />
      ) : (
        <Stack gap="lg">
          <Kinds
            kind={kind}
            clicked={() => window.requestAnimationFrame(() => below.current?.scrollIntoView({ block: 'nearest' }))}
            choose={(next) => {
              setKind(next);
              setText('');
              setFiles({});
              begin.reset();
              create.reset();
              copy.reset();
            }}
          />
          <div ref={below} className={classes.material}>
          {kind === 'connector' ? (
            <>
              {error && <ErrorNote error={error} />}
              <ConnectorChoice kind="source" workspaceId={workspaceId} onChoose={({ definitionId }) => copy.mutate(definitionId)} />
            </>
          ) : (
            <Card withBorder padding="lg" component="form" onSubmit={(event: React.FormEvent) => (event.preventDefault(), begin.mutate(undefined))}>
              <Stack>
                {kind !== 'empty' && (
                  <TextInput
                    label={t('Name of the connector')}
                    description={t('As lists show it, such as the name of the vendor. If it stays empty, the host or the document gives the name.')}
                    value={name}
                    onChange={(event) => setName(event.currentTarget.value)}
                    maxLength={200}
                    autoComplete="off"
                  />
                )}
                <Material key={kind} kind={kind} text={text} change={setText} files={files} changeFiles={setFiles} />
                {error && <ErrorNote error={error} />}
                <Group>
                  <Button type="submit" loading={busy} disabled={!workspaceId || (kind !== 'empty' && text.trim() === '')}>
                    {t('Continue')}
                  </Button>
                </Group>
              </Stack>
            </Card>
          )}
          </div>
        </Stack>
      )}
    </>
  );
}

/** Cards to choose from, with the keys of a radio group. */
function Kinds({ kind, choose, clicked }: { kind: Kind; choose: (kind: Kind) => void; clicked: () => void }) {
  const all = kinds();
  function key(event: KeyboardEvent<HTMLDivElement>) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = all[(all.findIndex((option) => option.kind === kind) + step + all.length) % all.length]!;
    choose(next.kind);
    event.currentTarget.querySelector<HTMLElement>(`[data-kind=${next.kind}]`)?.focus();
  }
  return (
    <div className={classes.kinds} role="radiogroup" aria-label={t('What you have of the API')} onKeyDown={key}>
      {all.map((option) => (
        <UnstyledButton
          key={option.kind}
          role="radio"
          aria-checked={option.kind === kind}
          tabIndex={option.kind === kind ? 0 : -1}
          data-kind={option.kind}
          className={classes.kind}
          onClick={() => {
            choose(option.kind);
            // On a phone its field is below the cards.
            clicked();
          }}
        >
          <option.icon size={22} stroke={1.7} aria-hidden />
          <span>
            <Text component="span" display="block" fw={600}>
              {option.title}
            </Text>
            <Text component="span" display="block" size="sm" c="dimmed">
              {option.what}
            </Text>
          </span>
        </UnstyledButton>
      ))}
    </div>
  );
}

interface DocumentProps {
  kind: Kind;
  text: string;
  change: (text: string) => void;
  files: Files;
  changeFiles: (files: Files) => void;
}

function Material({ kind, text, change, ...rest }: DocumentProps): ReactNode {
  switch (kind) {
    case 'url':
      return (
        <TextInput
          label={t('Address')}
          description={t('The full address of a list, without secrets. Parameters behind “?” are kept.')}
          placeholder="https://api.example.com/v1/tickets"
          value={text}
          onChange={(event) => change(event.currentTarget.value)}
          autoComplete="off"
          inputMode="url"
        />
      );
    case 'empty':
      return <TextInput label={t('Name')} placeholder={t('Untitled connector')} value={text} onChange={(event) => change(event.currentTarget.value)} autoComplete="off" />;
    case 'curl':
      return (
        <Textarea
          label={t('cURL line')}
          description={t('Tokens and passwords in it are kept sealed as inputs of the test. They are not written into the manifest.')}
          placeholder={t("curl https://api.example.com/v1/tickets -H 'Authorization: Bearer …'")}
          value={text}
          onChange={(event) => change(event.currentTarget.value)}
          autosize
          minRows={4}
          maxRows={14}
          spellCheck={false}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
        />
      );
    default:
      return <Document kind={kind} text={text} change={change} {...rest} />;
  }
}

/** A document: pasted, from a file, or (OpenAPI, a manifest) from an address. */
function Document({ kind, text, change, files, changeFiles }: DocumentProps) {
  const [problem, setProblem] = useState('');
  const labels: Partial<Record<Kind, string>> = { openapi: t('OpenAPI document'), har: t('HAR file'), manifest: t('Manifest') };
  async function read(file: File | null) {
    if (!file) return;
    const most = kind === 'har' ? MAX_HAR : MAX_FILE;
    if (file.size > most) return setProblem(t('{name} has {size} MiB: at most {most} MiB are read.', { name: file.name, size: Math.ceil(file.size / MIB), most: most / MIB }));
    const whole = await file.text();
    const sent = kind === 'har' ? slimHar(whole) : whole;
    if (sent.length > MAX_FILE)
      return setProblem(
        t('{name} has {size} MiB of answers in JSON: at most {most} MiB are read. Record fewer pages.', { name: file.name, size: Math.ceil(sent.length / MIB), most: MAX_FILE / MIB }),
      );
    setProblem('');
    change(sent);
  }
  /** A connector's folder, or some of its files. */
  async function readAll(all: File[]) {
    const manifest = all.find((file) => /^manifest\.ya?ml$/.test(file.name)) ?? all.find((file) => /\.ya?ml$/.test(file.name)) ?? (all.length === 1 ? all[0] : undefined);
    if (!manifest) return setProblem(t('None of the files is a manifest: choose manifest.yaml, with the files beside it.'));
    const root = pathOf(manifest).slice(0, -manifest.name.length);
    const beside = all.filter((file) => file !== manifest && BESIDE.test(file.name) && pathOf(file).startsWith(root));
    const size = beside.reduce((bytes, file) => bytes + file.size, 0);
    if (size > MAX_FILE) return setProblem(t('{name} has {size} MiB: at most {most} MiB are read.', { name: t('The folder'), size: Math.ceil(size / MIB), most: MAX_FILE / MIB }));
    await read(manifest);
    changeFiles(Object.fromEntries(await Promise.all(beside.map(async (file) => [pathOf(file).slice(root.length), await file.text()] as const))));
  }
  const beside = Object.keys(files);
  return (
    <Stack gap="xs" align="flex-start">
      <Textarea
        w="100%"
        label={labels[kind]}
        description={kind === 'manifest' ? t('Paste its text or its address, or choose manifest.yaml with components.py and its schemas.') : kind === 'har' ? t('Paste it, or choose the file. Cookies and tokens in it do not reach the manifest.') : t('Paste its text or its address, or choose a file.')}
        placeholder={kind === 'openapi' ? 'https://api.example.com/openapi.json' : undefined}
        value={text}
        error={problem || undefined}
        onChange={(event) => change(event.currentTarget.value)}
        autosize
        minRows={4}
        maxRows={14}
        spellCheck={false}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
      />
      {kind === 'manifest' ? (
        <Group gap="xs">
          <FileButton multiple onChange={(all) => void readAll(all)} accept=".yaml,.yml,.json,.py">
            {(props) => <Choose {...props} text={t('Choose files')} />}
          </FileButton>
          <FileButton multiple onChange={(all) => void readAll(all)} inputProps={{ webkitdirectory: '' } as object}>
            {(props) => <Choose {...props} text={t('Choose a folder')} />}
          </FileButton>
          <Text size="sm" c="dimmed" role="status">
            {beside.length > 0 && plural(beside.length, 'With {names}', 'With {count} files beside it: {names}', { names: beside.slice(0, 5).join(', ') })}
          </Text>
        </Group>
      ) : (
        <FileButton onChange={(file) => void read(file)} accept=".json,.yaml,.yml,.har">
          {(props) => <Choose {...props} text={t('Choose a file')} />}
        </FileButton>
      )}
    </Stack>
  );
}

/** What of a connector's folder belongs to its manifest. */
const BESIDE = /(^components\.py|\.json)$/;

function pathOf(file: File): string {
  return file.webkitRelativePath || file.name;
}

function Choose({ text, ...props }: { text: string; onClick: () => void }) {
  return (
    <Button {...props} variant="default" size="xs" leftSection={<IconFileUpload size={15} aria-hidden />}>
      {text}
    </Button>
  );
}

/** Whether these are the streams that the manifest has already. */
function isIncluded({ streams }: Beginning, names: readonly string[]): boolean {
  return streams.every((stream) => stream.included === names.includes(stream.name));
}

/** A single address is fetched by the server; everything else is the document itself. */
export function bodyOf(kind: BeginKind, text: string): { text: string } | { url: string } {
  const trimmed = text.trim();
  if (kind === 'url' || ((kind === 'openapi' || kind === 'manifest') && /^https?:\/\/\S+$/.test(trimmed))) return { url: trimmed };
  return { text };
}
