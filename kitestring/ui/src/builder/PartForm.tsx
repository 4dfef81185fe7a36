/** The form of the part of a connector that is chosen. */
import { ActionIcon, Alert, Button, Card, Group, Menu, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconCopy, IconDots, IconTrash } from '@tabler/icons-react';
import { memo } from 'react';

import { t } from '../text';
import type { Language } from './document/language';
import type { Manifest } from './editor/useManifest';
import { AuthForm } from './form/AuthForm';
import { ComponentForm } from './form/ComponentForm';
import { InputsForm } from './form/InputsForm';
import { StreamForm } from './form/StreamForm';
import { freeName, type Part } from './parts';
import { SettingsForm } from './SettingsForm';
import type { Saving } from './useSaving';

interface Props {
  part: Part;
  manifest: Manifest;
  /** Undefined until it is loaded. */
  language: Language | undefined;
  saving: Saving;
  mayEdit: boolean;
  /** The names of all streams. */
  names: readonly string[];
  choose: (part: Part) => void;
  /** Show a place of the text in the YAML. */
  showPlace: (from: number) => void;
}

export function PartForm({ part, manifest, language, saving, mayEdit, names, choose, showPlace }: Props) {
  const { doc, broken } = manifest;
  const edit = mayEdit && !broken ? manifest.apply : undefined;
  return (
    <Card withBorder padding="md" component="section" aria-label={titleOf(part, manifest)}>
      <Group justify="space-between" mb="sm" wrap="nowrap">
        <Title order={2} size="h5" style={{ overflowWrap: 'anywhere' }}>
          {titleOf(part, manifest)}
        </Title>
        {part.kind === 'stream' && edit && <StreamMenu part={part} manifest={manifest} names={names} choose={choose} />}
      </Group>
      {broken && <Broken manifest={manifest} showPlace={showPlace} />}
      {part.kind === 'settings' && <SettingsForm doc={doc} saving={saving} edit={edit} />}
      {broken && doc.text === '' ? null : language ? (
        <Fields part={part} manifest={manifest} language={language} edit={edit} />
      ) : (
        <Skeleton h={240} role="status" aria-label={t('Loading')} />
      )}
    </Card>
  );
}

/** Why the form cannot change a text: where it has an error of syntax. */
function Broken({ manifest, showPlace }: { manifest: Manifest } & Pick<Props, 'showPlace'>) {
  const [defect] = manifest.defects;
  return (
    <Alert color="yellow" variant="light" mb="md" role="alert" title={t('The YAML has an error of syntax')}>
      <Stack gap="xs" align="flex-start">
        {defect && (
          <Text size="sm" c="var(--mantine-color-text)" style={{ overflowWrap: 'anywhere' }}>
            {t('Line {line}, column {column}: {message}', { line: defect.line, column: defect.column, message: defect.message })}
          </Text>
        )}
        <Text size="sm" c="var(--mantine-color-text)">
          {manifest.doc.text === ''
            ? t('The form is shown when the YAML can be read.')
            : t('The form shows the last text that could be read. It changes nothing until the YAML is correct.')}
        </Text>
        {defect && (
          <Button size="xs" variant="default" onClick={() => showPlace(defect.from)}>
            {t('Show it in the YAML')}
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

interface FieldsProps {
  part: Part;
  manifest: Manifest;
  language: Language;
  edit?: Manifest['apply'];
}

/** The fields of a part: those of a component of the language. Not drawn again when the page saves, or reads for a test. */
const Fields = memo(function Fields({ part, manifest, language, edit }: FieldsProps) {
  const shared = { doc: manifest.doc, schema: language, edit: edit ?? (() => undefined), defects: manifest.defects, disabled: !edit };
  switch (part.kind) {
    case 'settings':
      return <ComponentForm {...shared} path={[]} only={['check', 'api_budget', 'concurrency_level']} />;
    case 'inputs':
      return (
        <Stack gap="md">
          <InputsForm {...shared} />
          {manifest.doc.has(['spec']) && <ComponentForm {...shared} path={['spec']} except={['connection_specification']} />}
        </Stack>
      );
    case 'authentication':
      return <AuthForm {...shared} />;
    case 'whole':
      return <ComponentForm {...shared} path={[]} />;
    case 'stream':
      // The key: what is open, and how shared parts are changed, is of this stream.
      return part.list === 'streams' ? (
        <StreamForm key={part.index} {...shared} path={[part.list, part.index]} />
      ) : (
        <ComponentForm key={part.index} {...shared} path={[part.list, part.index]} />
      );
  }
});

function titleOf(part: Part, { doc }: Manifest): string {
  switch (part.kind) {
    case 'settings':
      return t('Settings');
    case 'inputs':
      return t('Inputs');
    case 'authentication':
      return t('Authentication');
    case 'whole':
      return t('All fields');
    case 'stream':
      return String(doc.get([part.list, part.index, 'name']) ?? doc.get([part.list, part.index, 'stream_template', 'name']) ?? t('Stream'));
  }
}

/** What is done with a stream as a whole. */
function StreamMenu({ part, manifest, names, choose }: { part: Part & { kind: 'stream' } } & Pick<Props, 'manifest' | 'names' | 'choose'>) {
  const { doc } = manifest;
  const { list, index } = part;
  const count = doc.count([list]);
  const name = titleOf(part, manifest);
  function move(to: number) {
    manifest.apply(doc.move([list], index, to));
    choose({ ...part, index: to });
  }
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t('Actions for {name}', { name })}>
          <IconDots size={18} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item
          leftSection={<IconCopy size={15} aria-hidden />}
          onClick={() => {
            const copy = doc.get([list, index]) as Record<string, unknown>;
            manifest.apply(doc.insert([list], index + 1, 'name' in copy ? { ...copy, name: freeName(name, names) } : copy));
            choose({ ...part, index: index + 1 });
          }}
        >
          {t('Duplicate')}
        </Menu.Item>
        <Menu.Item leftSection={<IconArrowUp size={15} aria-hidden />} disabled={index === 0} onClick={() => move(index - 1)}>
          {t('Move up')}
        </Menu.Item>
        <Menu.Item leftSection={<IconArrowDown size={15} aria-hidden />} disabled={index >= count - 1} onClick={() => move(index + 1)}>
          {t('Move down')}
        </Menu.Item>
        <Menu.Item
          color="red"
          leftSection={<IconTrash size={15} aria-hidden />}
          onClick={() => {
            manifest.apply(doc.remove([list, index]));
            choose(count > 1 ? { ...part, index: Math.max(index - 1, 0) } : { kind: 'settings' });
          }}
        >
          {t('Remove')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
