/** The form of a stream: its request, its records, its pages, and what else it has, each a part that opens. */
import { Stack } from '@mantine/core';

import { plural, t } from '../../text';
import type { Path } from '../document/document';
import { componentTitle } from '../document/language';
import { isObject } from '../document/layout';
import { ComponentFields, FormScope } from './ComponentForm';
import { type FormProps, hasDefect, useForm } from './context';
import { ErrorFields } from './ErrorFields';
import { FieldForm } from './FieldForm';
import { IncrementalFields } from './IncrementalFields';
import { Inherited } from './Inherited';
import { PaginationFields, paginationTitle } from './PaginationFields';
import { paginationKind } from './paginations';
import { PartitionFields } from './PartitionFields';
import { SchemaFields } from './SchemaFields';
import { Section } from './Section';

/** `path`: the stream. */
export function StreamForm({ path, ...form }: FormProps) {
  return (
    <FormScope {...form}>
      <StreamFields path={path} />
    </FormScope>
  );
}

const REQUEST = ['url_base', 'path', 'url', 'http_method', 'request_parameters', 'request_headers', 'request_body'];
const REQUEST_PARTS = [...REQUEST, 'request_body_json', 'request_body_data'];
/** What has a part of its own. */
const STREAM_PARTS = ['name', 'primary_key', 'retriever', 'incremental_sync', 'transformations', 'schema_loader'];
const RETRIEVER_PARTS = ['requester', 'record_selector', 'paginator', 'partition_router', 'decoder'];

function StreamFields({ path }: { path: Path }) {
  const { doc, schema, defects } = useForm();
  const retriever = [...path, 'retriever'];
  const requester = [...retriever, 'requester'];
  const selector = [...retriever, 'record_selector'];
  const { component } = schema.place(doc, [...path, '']);
  const { component: kind } = schema.place(doc, [...retriever, '']);
  if ((component !== undefined && component !== 'DeclarativeStream') || (kind !== undefined && kind !== 'SimpleRetriever')) {
    // Jobs, streams under a condition, streams that delegate: each by its own fields.
    return (
      <Inherited path={path}>
        <ComponentFields path={path} />
      </Inherited>
    );
  }
  const field = (name: string) => schema.field('HttpRequester', name);
  const title = (at: Path) => {
    const type = schema.place(doc, [...at, '']).component;
    return type === undefined ? t('Set') : t(componentTitle(type, schema.component(type)));
  };
  const gist = (at: Path) => (doc.get(at) === undefined || doc.get(at) === null ? t('None') : title(at));
  const wrong = (...paths: Path[]) => paths.some((at) => hasDefect(defects, at));
  const transformations = doc.count([...path, 'transformations']);
  const schemaPath = [...path, 'schema_loader'];
  const declared = doc.keys([...schemaPath, 'schema', 'properties']).length;
  const schemaGist = doc.get(schemaPath) === undefined ? t('Not declared') : declared > 0 ? plural(declared, '{count} field', '{count} fields') : title(schemaPath);
  const requestParts = REQUEST_PARTS.filter((name) => REQUEST.slice(0, 2).includes(name) || name === 'http_method' || name === 'request_parameters' || name === 'request_headers' || doc.has([...requester, name]) || (name === 'request_body' && !doc.has([...requester, 'request_body_json']) && !doc.has([...requester, 'request_body_data'])));
  const isWhole = doc.has([...requester, 'url']) && !doc.has([...requester, 'url_base']);
  return (
    <Inherited path={path}>
      <Stack gap="xs">
        <ComponentFields path={path} only={['name', 'primary_key']} />
        <Section open title={t('Request')} gist={`${String(doc.get([...requester, 'http_method']) ?? 'GET')} ${String(doc.get([...requester, 'path']) ?? doc.get([...requester, 'url']) ?? '')}`} wrong={wrong(...REQUEST_PARTS.map((name) => [...requester, name]))}>
          <Inherited path={requester}>
            <Stack gap="sm">
              {requestParts.filter((name) => !isWhole || (name !== 'url_base' && name !== 'path')).map((name) => (
                <FieldForm key={name} path={[...requester, name]} name={name} field={field(name)} />
              ))}
              <FieldForm path={[...requester, 'authenticator']} name="authenticator" field={field('authenticator')} />
            </Stack>
          </Inherited>
        </Section>
        <Section open title={t('Records')} gist={recordsGist(doc.get([...selector, 'extractor', 'field_path']))} wrong={wrong(selector, [...retriever, 'decoder'])}>
          <Inherited path={selector}>
            <Stack gap="sm">
              {(schema.place(doc, [...selector, 'extractor', '']).component ?? 'DpathExtractor') === 'DpathExtractor' ? (
                <FieldForm path={[...selector, 'extractor', 'field_path']} name="field_path" field={schema.field('DpathExtractor', 'field_path')} />
              ) : null}
              <ComponentFields path={selector} />
              <FieldForm path={[...retriever, 'decoder']} name="decoder" field={schema.field('SimpleRetriever', 'decoder')} />
            </Stack>
          </Inherited>
        </Section>
        <Section title={t('Pagination')} gist={paginationTitle(paginationKind((...keys) => doc.get([...retriever, 'paginator', ...keys])))} wrong={wrong([...retriever, 'paginator'])}>
          <PaginationFields path={[...retriever, 'paginator']} />
        </Section>
        <Section title={t('Incremental sync')} gist={doc.get([...path, 'incremental_sync']) ? `${title([...path, 'incremental_sync'])} · ${String(doc.get([...path, 'incremental_sync', 'cursor_field']) ?? '')}` : t('Each sync reads everything')} wrong={wrong([...path, 'incremental_sync'])}>
          <IncrementalFields path={[...path, 'incremental_sync']} />
        </Section>
        <Section title={t('Partitions')} gist={Array.isArray(doc.get([...retriever, 'partition_router'])) ? t('Several') : doc.get([...retriever, 'partition_router']) ? gist([...retriever, 'partition_router']) : t('None: the list is read once, not for each parent or value')} wrong={wrong([...retriever, 'partition_router'])}>
          <PartitionFields path={[...retriever, 'partition_router']} stream={path} />
        </Section>
        <Section title={t('Errors and waits')} gist={doc.get([...requester, 'error_handler']) === undefined ? t('As usual') : title([...requester, 'error_handler'])} wrong={wrong([...requester, 'error_handler'])}>
          <ErrorFields path={[...requester, 'error_handler']} />
        </Section>
        <Section title={t('Transformations')} gist={transformations === 0 ? t('None') : String(transformations)} wrong={wrong([...path, 'transformations'])}>
          <FieldForm path={[...path, 'transformations']} name="transformations" field={schema.field('DeclarativeStream', 'transformations')} />
        </Section>
        <Section title={t('Schema')} gist={schemaGist} wrong={wrong(schemaPath)}>
          <SchemaFields path={schemaPath} />
        </Section>
        <Section title={t('More')} gist={t('Everything else that a stream can have')}>
          <Stack gap="sm">
            <ComponentFields path={path} except={STREAM_PARTS} />
            <ComponentFields path={retriever} except={RETRIEVER_PARTS} />
            <ComponentFields path={requester} except={[...REQUEST_PARTS, 'authenticator', 'error_handler']} />
          </Stack>
        </Section>
      </Stack>
    </Inherited>
  );
}

function recordsGist(path: unknown): string {
  if (!Array.isArray(path) && typeof path !== 'string') return isObject(path) ? t('Set') : t('Where they are in an answer');
  const keys = Array.isArray(path) ? path.map(String) : [path];
  return keys.length === 0 ? t('The whole answer') : keys.join('.');
}
