import t from 'tap';
import { presets } from '../../src/feeds/presets.ts';
import { configuredFeeds } from '../../src/feeds/registry.ts';
import { loadYaml } from '../helpers/config.ts';

function feedOf(section: string) {
  const { config } = loadYaml(t.testdir(), `data: ./data\nfeeds: { one: ${section} }\n`, {
    KEY: 'k3y-0123456789abcdef',
  });
  const [feed] = configuredFeeds(config);
  if (feed === undefined) throw new Error('no feed');
  return feed;
}

t.test('a preset at its own address has its copies, its size and its guards', async (t) => {
  const { definition, options } = feedOf('{ preset: cisa-kev }');
  t.match(options, { fallback_urls: [/cisagov/] });
  t.same(definition.expectRows, presets['cisa-kev']?.options['expect_rows']);
  t.match(feedOf('{ preset: feodo }').definition, { emptyAllowed: true, shrinkGuard: null });
  const same = feedOf(`{ preset: cisa-kev, url: '${presets['cisa-kev']?.options['url']}' }`);
  t.match(same.options, { fallback_urls: [/cisagov/] }, 'also where the address is repeated');
});

t.test('an own url has no copies, no size and no weaker guard of the preset; its own count', async (t) => {
  const { definition, options } = feedOf('{ preset: cisa-kev, url: "https://mirror.example/kev.json" }');
  t.strictSame((options as Record<string, unknown>)['fallback_urls'], undefined);
  t.strictSame(definition.expectRows, undefined);
  t.match(definition, { title: 'CISA KEV', confidence: 100, tlp: 'clear' }, 'all that is said of the data stays');
  const feodo = feedOf('{ preset: feodo, url: "https://feodotracker.abuse.ch/downloads/ipblocklist_aggressive.csv" }');
  t.match(feodo.definition, { emptyAllowed: false, shrinkGuard: 0.5, attribution: 'Feodo Tracker by abuse.ch' });
  const own = feedOf(
    '{ preset: cisa-kev, url: "https://mirror.example/a", fallback_urls: ["https://mirror.example/b"], expect_rows: { min: 7 } }',
  );
  t.match(own.options, { fallback_urls: ['https://mirror.example/b'] });
  t.same(own.definition.expectRows, { min: 7 });
});

t.test('the key for an own server is not for the hosts of the preset', async (t) => {
  const hosts = (url: string): unknown =>
    (feedOf(`{ preset: socdefenders-taxii, url: '${url}', key: { env: KEY } }`).options as { hosts?: string[] }).hosts;
  t.strictSame(hosts('https://proxy.example/taxii2/'), undefined);
  t.strictSame(hosts('https://www.socdefenders.ai/api/taxii2/'), ['socdefenders.ai', 'www.socdefenders.ai']);
});

t.test('a copy on disk is read with the preset, without its address and without a key', async (t) => {
  const { definition, options } = feedOf('{ preset: spamhaus-drop, path: ./drop.json }');
  t.match(options, { path: './drop.json', lines: true, expect_count: 'records' });
  t.strictSame((options as Record<string, unknown>)['url'], undefined);
  t.match(definition, { title: 'Spamhaus DROP', emptyAllowed: true });
  t.strictSame(definition.expectRows, undefined);
  const keyed = feedOf('{ preset: abuseipdb, path: ./abuseipdb.json }');
  t.strictSame((keyed.options as Record<string, unknown>)['header'], undefined);
});

t.test('who may not pass a feed on is told where its marking says that one may', async (t) => {
  const warningsOf = (section: string) =>
    loadYaml(t.testdir(), `data: ./data\nfeeds: { one: ${section} }\n`).warnings.filter(({ path }) =>
      path.endsWith('tlp'),
    );
  t.match(warningsOf('{ preset: openphish, tlp: green }'), [{ path: 'feeds.one.tlp', message: /redistribution says/ }]);
  t.strictSame(warningsOf('{ preset: openphish }'), []);
  t.strictSame(warningsOf('{ preset: openphish, tlp: clear, redistribution: unknown }'), []);
  for (const [name, { options }] of Object.entries(presets)) {
    t.ok(options['redistribution'], `${name} says whether it may be passed on, or that this is not known`);
    if (options['redistribution'] === 'no') t.match(options['tlp'] ?? 'amber', 'amber', name);
  }
});
