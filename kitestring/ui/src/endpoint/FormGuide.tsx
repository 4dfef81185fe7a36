/** The documentation beside a form: the field that has the focus, then the connector's page, which follows it. */
import { Anchor, Box, Button, Collapse, Stack, Text, Title } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconBook, IconExternalLink } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';

import { api, OWN } from '../api/client';
import type { ConnectorDetail, ConnectorDocumentation } from '../api/schema.gen';
import { Markdown } from '../catalog/Markdown';
import { besideForm, type Block, blockOf, mapTexts, parseMarkdown } from '../catalog/markdown';
import { type Labels, labelsOf, withLabels } from '../form/labels';
import { RichText } from '../form/RichText';
import { label, resolveSchema, type Schema, schemaAt } from '../form/schema';
import { t } from '../text';
import classes from './guide.module.css';

/** Whether there is room for the documentation beside a form. */
export const useWide = () => useMediaQuery('(min-width: 75em)', undefined, { getInitialValueInEffect: false });

export function FormGuide({ connector, path }: { connector: ConnectorDetail; path: string }) {
  const wide = useWide();
  const [opened, setOpened] = useState(false);
  if (wide)
    return (
      <aside className={classes.aside} aria-label={t('Documentation of {connector}', { connector: connector.name })}>
        <Contents connector={connector} path={path} />
      </aside>
    );
  return (
    <Box>
      <Button variant="default" size="xs" leftSection={<IconBook size={14} aria-hidden />} aria-expanded={opened} onClick={() => setOpened(!opened)}>
        {opened ? t('Hide the documentation') : t('Show the documentation')}
      </Button>
      <Collapse expanded={opened}>
        <Box className={classes.narrow} mt="xs">
          {opened && <Contents connector={connector} path={path} />}
        </Box>
      </Collapse>
    </Box>
  );
}

function Contents({ connector, path }: { connector: ConnectorDetail; path: string }) {
  const page = useQuery({
    queryKey: ['connectors', connector.kind, 'documentation', connector.definitionId],
    queryFn: () => api.get<ConnectorDocumentation>(`${OWN}/connectors/${connector.kind}/${connector.definitionId}/documentation`),
    enabled: connector.native,
    staleTime: Infinity,
  });
  const schema = useMemo(() => resolveSchema(connector.spec as Schema), [connector.spec]);
  const original = useMemo(() => besideForm(parseMarkdown(page.data?.markdown ?? '')), [page.data]);
  const blocks = useMemo(() => {
    const labels = labelsOf(schema);
    return original.map((block) => mapTexts(block, (text) => headingLabel(block, text, labels) ?? withLabels(text, labels)));
  }, [original, schema]);
  const name = path.split('.').filter((part) => !/^\d+$/.test(part)).at(-1) ?? '';
  const current = blockOf(original, name);
  const field = path ? schemaAt(schema, path) : undefined;
  const scrolled = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const box = scrolled.current;
    const block = box?.querySelector<HTMLElement>(`[data-block="${current}"]`);
    if (box && block) box.scrollTo({ top: block.offsetTop - box.offsetTop, behavior: 'smooth' });
  }, [current]);
  return (
    <Stack gap="sm" h="100%" mih={0}>
      {field && (
        <Box className={classes.field}>
          <Title order={3} size="h6">
            {label(name, field)}
          </Title>
          {field.description && (
            <Text size="sm">
              <RichText text={field.description} />
            </Text>
          )}
        </Box>
      )}
      {blocks.length > 0 && (
        <div ref={scrolled} className={classes.page} tabIndex={0} role="region" aria-label={t('Page of {connector}', { connector: connector.name })}>
          <Markdown blocks={blocks} current={current} />
        </div>
      )}
      {!connector.native && !field && <Text size="sm">{t('Choose a field to see its description.')}</Text>}
      {connector.documentationUrl && (
        <Anchor href={connector.documentationUrl} target="_blank" rel="noreferrer" size="sm">
          {t('Documentation of {connector}', { connector: connector.name })} <IconExternalLink size={12} aria-hidden />
        </Anchor>
      )}
    </Stack>
  );
}

/** A heading that is the key of a part of the form. */
function headingLabel(block: Block, text: string, labels: Labels): string | undefined {
  return block.kind === 'heading' ? labels.get(text) : undefined;
}
