/** API calls and queries of the connector builder: projects, their versions, beginnings and proposals. */
import { queryOptions } from '@tanstack/react-query';

import { api, OWN } from '../api/client';
import { queryClient } from '../api/queries';
import type {
  Begin,
  BuilderBeginning,
  BuilderCapabilities,
  BuilderProject,
  BuilderProjectSummary,
  BuilderProjects,
  ManifestProposal,
  ProjectCreate,
  PublishedVersion,
  PublishedVersionSummary,
  PublishedVersions,
} from '../api/schema.gen';

export const BUILDER = `${OWN}/builder`;
export const PROJECTS = `${BUILDER}/projects`;

export type ProjectSummary = BuilderProjectSummary;
export type Project = BuilderProject;

export type ConnectorVersion = PublishedVersionSummary;

export type BeginKind = Begin['kind'];
export type Beginning = BuilderBeginning;
export type Proposal = ManifestProposal;

export const projectsQuery = (workspaceId: string | undefined) =>
  queryOptions({
    queryKey: ['builder', 'projects', workspaceId],
    queryFn: async () => (await api.get<BuilderProjects>(PROJECTS, { workspaceId })).data,
    enabled: workspaceId !== undefined,
  });

export const projectQuery = (projectId: string) =>
  queryOptions({
    queryKey: ['builder', 'project', projectId],
    queryFn: () => api.get<Project>(`${PROJECTS}/${projectId}`),
    // The page holds the text that is being edited: it must not be replaced behind its back.
    staleTime: Infinity,
    gcTime: 0,
    refetchOnReconnect: false,
  });

export const versionsQuery = (projectId: string) =>
  queryOptions({
    queryKey: ['builder', 'project', projectId, 'versions'],
    queryFn: async () => (await api.get<PublishedVersions>(`${PROJECTS}/${projectId}/versions`)).data,
  });

export const versionQuery = (projectId: string, version: number) =>
  queryOptions({
    queryKey: ['builder', 'project', projectId, 'versions', version],
    queryFn: () => api.get<PublishedVersion>(`${PROJECTS}/${projectId}/versions/${version}`),
    staleTime: Infinity,
  });

export const capabilitiesQuery = queryOptions({
  queryKey: ['builder', 'capabilities'],
  queryFn: () => api.get<BuilderCapabilities>(`${BUILDER}/capabilities`),
  staleTime: 300_000,
  retry: false,
});

export async function createProject(body: ProjectCreate): Promise<Project> {
  const project = await api.post<Project>(PROJECTS, body);
  await queryClient.invalidateQueries({ queryKey: ['builder', 'projects'] });
  return project;
}

export async function deleteProject(projectId: string): Promise<void> {
  await api.delete(`${PROJECTS}/${projectId}`);
  await queryClient.invalidateQueries({ queryKey: ['builder', 'projects'] });
}

export function downloadYaml(name: string, manifest: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([manifest], { type: 'application/yaml' }));
  link.download = `${name.replace(/[^\p{L}\p{N}._-]+/gu, '-')}.yaml`;
  link.click();
  URL.revokeObjectURL(link.href);
}
