/** A new source or destination: its connector, then its form. */
import { Anchor, Breadcrumbs } from '@mantine/core';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';

import { useWorkspace } from '../session/session';
import { PageHeader } from '../shell/PageHeader';
import { notifySuccess } from '../shell/notify';
import { t } from '../text';
import type { EndpointKind } from './endpoints';
import { NewEndpoint } from './NewEndpoint';

export const NewSourcePage = () => <NewEndpointPage kind="source" />;
export const NewDestinationPage = () => <NewEndpointPage kind="destination" />;

function NewEndpointPage({ kind }: { kind: EndpointKind }) {
  const { workspaceId } = useWorkspace();
  const navigate = useNavigate();
  const { connector } = useSearch({ strict: false }) as { connector?: string };
  return (
    <>
      <PageHeader
        title={kind === 'source' ? t('New source') : t('New destination')}
        above={
          <Breadcrumbs>
            <Anchor component={Link} to={`/${kind}s`} size="sm">
              {kind === 'source' ? t('Sources') : t('Destinations')}
            </Anchor>
          </Breadcrumbs>
        }
      />
      {workspaceId && (
        <NewEndpoint
          key={connector ?? ''}
          kind={kind}
          workspaceId={workspaceId}
          chosen={connector}
          asksToLeave
          onChosen={(connectorKey) => void navigate({ to: `/${kind}s/new`, search: connectorKey ? { connector: connectorKey } : {} })}
          onCreated={(endpoint) => {
            notifySuccess(t('{name} was created', { name: endpoint.name }));
            void navigate({ to: `/${kind}s/${endpoint.id}` });
          }}
        />
      )}
    </>
  );
}
