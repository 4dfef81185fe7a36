/** A new source or destination: its connector, then its form. */
import { Anchor, Breadcrumbs } from '@mantine/core';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';

import { useWorkspace } from '../session/session';
import { PageHead } from '../shell/PageHead';
import { tellDone } from '../shell/tell';
import type { ActorKind } from './actors';
import { NewActor } from './NewActor';

export const NewSourcePage = () => <NewActorPage kind="source" />;
export const NewDestinationPage = () => <NewActorPage kind="destination" />;

function NewActorPage({ kind }: { kind: ActorKind }) {
  const { workspaceId } = useWorkspace();
  const navigate = useNavigate();
  const { connector } = useSearch({ strict: false }) as { connector?: string };
  return (
    <>
      <PageHead
        title={`New ${kind}`}
        above={
          <Breadcrumbs>
            <Anchor component={Link} to={`/${kind}s`} size="sm">
              {kind === 'source' ? 'Sources' : 'Destinations'}
            </Anchor>
          </Breadcrumbs>
        }
      />
      {workspaceId && (
        <NewActor
          key={connector ?? ''}
          kind={kind}
          workspaceId={workspaceId}
          chosen={connector}
          onChosen={(word) => void navigate({ to: `/${kind}s/new`, search: word ? { connector: word } : {} })}
          onMade={(made) => {
            tellDone(`${made.name} was created`);
            void navigate({ to: `/${kind}s/${made.id}` });
          }}
        />
      )}
    </>
  );
}
