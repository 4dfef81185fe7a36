/** The connections of a workspace. */
import { PageHead } from '../shell/PageHead';

export function ConnectionsPage() {
  return <PageHead title="Connections" />;
}
