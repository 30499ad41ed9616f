import ipaddr from 'ipaddr.js';
import { hostOf } from '../../model/host.ts';
import { type JsonObject, sortMembers } from '../../model/json.ts';
import type { ObservableKey } from '../../model/observable.ts';
import type { Observation } from '../../model/observation.ts';
import { isStixId } from '../../stix/id.ts';
import { otherMarkingsOf } from '../../stix/marking.ts';
import type { EndedVersionWriter, ObservationWriter } from '../contract/observations.ts';
import { misuse, requireLimit } from '../misuse.ts';
import type { StoredObservation } from '../store.ts';
import type { Sync } from '../synchronous.ts';
import type { Database, ObservationRow } from './database.ts';
import { countGone } from './feeds.ts';
import type { Touch } from './pull.ts';
import { keyOf, matching, pageOf } from './table.ts';
import { dropVerdicts } from './verdicts.ts';

export function writeObservations(database: Database, touch: Touch): Sync<ObservationWriter> {
  const { tables } = database;
  const rowOf = (feed: string, key: ObservableKey) => tables.observations.get(keyOf(feed, key));
  const ofFeeds = (feeds: readonly string[], test: (row: ObservationRow) => boolean = () => true) =>
    matching(tables.observations, (row) => feeds.includes(row.feed) && test(row));

  return {
    confirm(pull, observations) {
      const own = touch(pull);
      const fresh: Observation[] = [];
      const different: Observation[] = [];
      for (const observation of observations) {
        const row = rowOf(own.feed, observation.key);
        if (row === undefined) fresh.push(observation);
        else if (row.isAmended || row.said !== contentOf(observation)) different.push(observation);
        else own.observations.set(String(row.id), true);
      }
      return { fresh, different };
    },

    observe(pull, observations) {
      const own = touch(pull);
      const changed: ObservableKey[] = [];
      const again: ObservableKey[] = [];
      for (const observation of new Map(observations.map((one) => [one.key, one])).values()) {
        const { key } = observation;
        const row = rowOf(own.feed, key);
        const said = contentOf(observation);
        const id = row?.id ?? database.nextId();
        const isAgain = own.observations.get(String(id)) === true;
        own.observations.set(String(id), true);
        if (row?.said === said) continue;
        if (isAgain) again.push(key);
        else {
          const kept = { id, feed: own.feed, observation: copyOf(observation), said, isAmended: false };
          tables.observations.set(keyOf(own.feed, key), kept);
          changed.push(key);
        }
      }
      return { changed, again };
    },

    amend: (feed, observations) =>
      observations.flatMap((observation) => {
        const row = rowOf(feed, observation.key);
        if (row === undefined) throw misuse(`"${feed}" has no observation to amend`);
        if (contentOf(row.observation) === contentOf(observation)) return [];
        const amended = { ...row, observation: copyOf(observation), isAmended: true };
        tables.observations.set(keyOf(feed, observation.key), amended);
        return [observation.key];
      }),

    removeObservations(feed, keys) {
      const removed = keys.filter((key) => rowOf(feed, key) !== undefined);
      for (const key of removed) tables.observations.delete(keyOf(feed, key));
      countGone(tables, feed, new Set(removed).size);
      dropVerdicts(tables, feed, 'observation', removed);
    },

    observations: (feeds, keys) =>
      [...new Set(feeds)].flatMap((feed) => [...new Set(keys)].flatMap((key) => stored(rowOf(feed, key)))),

    // Ids of rows name no upstream object.
    saidBy(feed, ids) {
      const wanted = new Set(ids);
      const isWanted = ({ observation: { sourceId, others } }: ObservationRow): boolean =>
        (isStixId(sourceId) && wanted.has(sourceId)) || others.some(({ id }) => isStixId(id) && wanted.has(id));
      return ofFeeds([feed], isWanted).flatMap(stored);
    },

    observedKeys: (feeds, after, limit) => pageOf(ofFeeds(feeds).map(keyOfRow), after, requireLimit(limit)),

    keysWithin(network, after, limit) {
      const [range, prefix] = ipaddr.parseCIDR(
        network.includes('/') ? network : `${network}/${network.includes(':') ? 128 : 32}`,
      );
      const lies = (row: ObservationRow): boolean => {
        const host = hostOf(row.observation.observable);
        if (host?.kind !== 'network') return false;
        const [address = '', bits = '128'] = host.network.split('/');
        const parsed = ipaddr.parse(address);
        return parsed.kind() === range.kind() && Number(bits) >= prefix && parsed.match([range, prefix]);
      };
      return pageOf(matching(tables.observations, lies).map(keyOfRow), after, requireLimit(limit));
    },

    keysUnder(domain, after, limit) {
      const lies = (row: ObservationRow): boolean => {
        const host = hostOf(row.observation.observable);
        return host?.kind === 'name' && (host.name === domain || host.name.endsWith(`.${domain}`));
      };
      return pageOf(matching(tables.observations, lies).map(keyOfRow), after, requireLimit(limit));
    },

    markedKeys(feed, refs, after, limit) {
      const isMarked = (row: ObservationRow): boolean =>
        otherMarkingsOf(row.observation.kept).some((marking) => refs.includes(marking));
      return pageOf(ofFeeds([feed], isMarked).map(keyOfRow), after, requireLimit(limit));
    },
  };
}

export function writeEnded({ tables }: Database): Sync<EndedVersionWriter> {
  return {
    rememberEnded(feed, statements, at) {
      for (const { id, version } of statements) {
        if (version !== null) tables.ended.set(keyOf(feed, id), { feed, id, version, at });
      }
    },

    endedVersions: (feed, ids) =>
      new Map(
        ids.flatMap((id) => {
          const row = tables.ended.get(keyOf(feed, id));
          return row === undefined ? [] : [[id, row.version] as const];
        }),
      ),

    forgetEnded(feed, before, limit) {
      const old = matching(tables.ended, (row) => row.feed === feed && row.at < before)
        .sort((a, b) => a.at - b.at)
        .slice(0, requireLimit(limit));
      for (const { id } of old) tables.ended.delete(keyOf(feed, id));
      return old.length;
    },
  };
}

const keyOfRow = ({ observation }: ObservationRow): ObservableKey => observation.key;

function stored(row: ObservationRow | undefined): StoredObservation[] {
  return row === undefined ? [] : [{ feed: row.feed, ...row.observation }];
}

/** Equal for observations of equal content: in which order members stand, and when it was heard, is no part of it. */
function contentOf({ reportedAt, others, ...content }: Observation): string {
  return JSON.stringify(
    sortMembers({ ...content, others: others.map(({ id, version, validUntil }) => ({ id, version, validUntil })) }),
  );
}

/** A copy as it is read back: without undefined members, those of `kept` sorted. */
function copyOf(observation: Observation): Observation {
  const kept = observation.kept === null ? null : (sortMembers(observation.kept) as JsonObject);
  return JSON.parse(JSON.stringify({ ...observation, kept }));
}
