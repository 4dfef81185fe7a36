/** All jobs of a workspace, newest first. */
import { Select, Stack } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';

import { JobsTable } from '../job/JobsTable';
import { useWorkspace } from '../session/session';
import { PageHeader } from '../shell/PageHeader';
import { statusWord } from '../shell/StatusBadge';

const route = getRouteApi('/shell/jobs');
const STATUSES = ['pending', 'running', 'incomplete', 'succeeded', 'suspicious', 'failed', 'cancelled'];

export function JobsPage() {
  const { workspaceId } = useWorkspace();
  const { status } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <PageHeader title="Jobs" note="Each sync, refresh, clear and backfill, newest first." />
      <Stack>
        <Select
          aria-label="Status"
          placeholder="Any status"
          data={STATUSES.map((value) => ({ value, label: statusWord(value) }))}
          value={status ?? null}
          onChange={(value) => void navigate({ search: { status: value ?? undefined }, replace: true })}
          clearable
          w={190}
          clearButtonProps={{ 'aria-label': 'Any status' }}
        />
        {workspaceId && <JobsTable key={status} of={{ workspaceIds: workspaceId, status }} named filtered={status !== undefined} />}
      </Stack>
    </>
  );
}
