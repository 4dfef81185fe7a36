/** What a connector is called, how it looks in lists, and where its API is. */
import { Button, FileButton, Group, Stack, Text, TextInput } from '@mantine/core';
import { IconFileUpload } from '@tabler/icons-react';
import { useState } from 'react';

import { ConnectorIcon } from '../catalog/ConnectorIcon';
import { notifyError } from '../shell/notify';
import { t } from '../text';
import type { Doc, Path, Splice } from './document/document';
import type { Saving } from './useSaving';

const LARGEST_ICON = 32 * 1024;
const URL_BASE: Path = ['streams', 0, 'retriever', 'requester', 'url_base'];

interface Props {
  doc: Doc;
  saving: Saving;
  edit?: (splices: readonly Splice[]) => void;
}

export function SettingsForm({ doc, saving, edit }: Props) {
  const { project } = saving;
  // What is typed, until the server has it.
  const [typed, setTyped] = useState<string>();
  const name = typed ?? project.name;
  const [problem, setProblem] = useState('');
  const base = doc.get(URL_BASE);
  const places = doc.users(URL_BASE).length;
  const save = (change: { name?: string; icon?: string }) => void saving.save(change).catch(notifyError);

  async function rename() {
    const next = name.trim();
    if (next === '') return;
    try {
      if (next !== project.name) await saving.save({ name: next });
      setTyped((now) => (now === typed ? undefined : now));
    } catch (failure) {
      notifyError(failure);
    }
  }

  async function read(file: File | null) {
    if (!file) return;
    if (file.size > LARGEST_ICON) return setProblem(t('The icon has {count} bytes: at most 32,768 are kept.', { count: file.size }));
    const text = await file.text();
    if (!/^\s*(<\?xml[^>]*>\s*)?<svg[\s>]/.test(text)) return setProblem(t('{name} is not an SVG file: an icon is one.', { name: file.name }));
    setProblem('');
    save({ icon: text });
  }

  return (
    <Stack>
      <TextInput
        label={t('Name')}
        description={t('The name of the connector in the lists of this workspace.')}
        value={name}
        error={name.trim() === '' ? t('This field is required.') : undefined}
        disabled={!edit}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onBlur={() => void rename()}
        maxLength={200}
      />
      <div>
        <Text size="sm" fw={500} mb={6}>
          {t('Icon')}
        </Text>
        <Group gap="sm">
          <ConnectorIcon type={project.name} name={project.name} svg={project.icon} size={40} />
          {edit && (
            <>
              <FileButton onChange={(file) => void read(file)} accept="image/svg+xml">
                {(props) => (
                  <Button {...props} size="xs" variant="default" leftSection={<IconFileUpload size={15} aria-hidden />}>
                    {t('Choose an SVG file')}
                  </Button>
                )}
              </FileButton>
              {project.icon && (
                <Button size="xs" variant="subtle" onClick={() => save({ icon: '' })}>
                  {t('Remove the icon')}
                </Button>
              )}
            </>
          )}
        </Group>
        {problem && (
          <Text size="sm" c="var(--mantine-color-error)" mt={4} role="alert">
            {problem}
          </Text>
        )}
      </div>
      {typeof base === 'string' && (
        <TextInput
          label={t('Address of the API')}
          description={
            places > 1
              ? t('What the paths of the streams are added to. Shared by {count} streams: an edit changes all of them.', { count: places })
              : t('What the path of the stream is added to.')
          }
          value={base}
          disabled={!edit}
          onChange={(event) => edit?.(doc.set(URL_BASE, event.currentTarget.value, { where: 'shared' }))}
          autoComplete="off"
          inputMode="url"
        />
      )}
    </Stack>
  );
}
