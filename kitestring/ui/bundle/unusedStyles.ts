/**
 * Leaves the styles of components that no page uses out of the build.
 *
 * The component library has its styles in one file, with a class such as `m_77c9d27d` for each part of a component. A
 * component that is used brings these names into the scripts; a rule whose name is in no script can match nothing.
 */
import postcss from 'postcss';
import type { Plugin } from 'vite';

const NAME = /\.(m_[0-9a-f]{6,})/g;

/** The styles without the rules that name a component's class which is not in use. */
export function withoutUnused(css: string, inUse: (name: string) => boolean): string {
  const root = postcss.parse(css);
  root.walkRules((rule) => {
    const selectors = rule.selectors.filter((selector) => [...selector.matchAll(NAME)].every(([, name]) => inUse(name!)));
    if (selectors.length === 0) rule.remove();
    else if (selectors.length < rule.selectors.length) rule.selectors = selectors;
  });
  root.walkAtRules((rule) => {
    if (rule.nodes?.length === 0) rule.remove();
  });
  return root.toString();
}

export function unusedStyles(): Plugin {
  return {
    name: 'unused-styles',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const files = Object.values(bundle);
      const scripts = files.map((file) => (file.type === 'chunk' ? file.code : '')).join('\n');
      for (const file of files) {
        if (file.type === 'asset' && file.fileName.endsWith('.css')) {
          file.source = withoutUnused(String(file.source), (name) => scripts.includes(name));
        }
      }
    },
  };
}
