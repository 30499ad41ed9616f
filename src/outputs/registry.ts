import { adblock } from './adblock.ts';
import { cef } from './cef.ts';
import { checkpoint } from './checkpoint.ts';
import { ciscoFmc } from './cisco-fmc.ts';
import { crowdsec } from './crowdsec.ts';
import { csv } from './csv.ts';
import { dnsmasq } from './dnsmasq.ts';
import { domains } from './domains.ts';
import { ecs } from './ecs.ts';
import { f5 } from './f5.ts';
import { fortinet } from './fortinet.ts';
import { hosts } from './hosts.ts';
import { ipset } from './ipset.ts';
import { json } from './json.ts';
import { juniper } from './juniper.ts';
import { mikrotik } from './mikrotik.ts';
import { ndjson } from './ndjson.ts';
import { opnsense } from './opnsense.ts';
import type { Output } from './output.ts';
import { panosDomain } from './panos-domain.ts';
import { panosIp } from './panos-ip.ts';
import { panosUrl } from './panos-url.ts';
import { pfsense } from './pfsense.ts';
import { rpz } from './rpz.ts';
import { sonicwall } from './sonicwall.ts';
import { sophos } from './sophos.ts';
import { splunkDomain } from './splunk-domain.ts';
import { splunkEmail } from './splunk-email.ts';
import { splunkFile } from './splunk-file.ts';
import { splunkHttp } from './splunk-http.ts';
import { splunkIp } from './splunk-ip.ts';
import { squid } from './squid.ts';
import { stix } from './stix.ts';
import { suricataDomain } from './suricata-domain.ts';
import { suricataIp } from './suricata-ip.ts';
import { suricataIprep } from './suricata-iprep.ts';
import { suricataMd5 } from './suricata-md5.ts';
import { suricataSha256 } from './suricata-sha256.ts';
import { txt } from './txt.ts';
import { unbound } from './unbound.ts';
import { wazuhCdb } from './wazuh-cdb.ts';
import { yaraHash } from './yara-hash.ts';
import { zeekIntel } from './zeek-intel.ts';

/** Every format by its name. Without `format` and Accept, the first that a route offers is used. */
export const outputs = {
  json,
  csv,
  txt,
  ecs,
  stix,
  ndjson,
  adblock,
  cef,
  checkpoint,
  'cisco-fmc': ciscoFmc,
  crowdsec,
  dnsmasq,
  domains,
  f5,
  fortinet,
  hosts,
  ipset,
  juniper,
  mikrotik,
  opnsense,
  'panos-domain': panosDomain,
  'panos-ip': panosIp,
  'panos-url': panosUrl,
  pfsense,
  rpz,
  sonicwall,
  sophos,
  'splunk-domain': splunkDomain,
  'splunk-email': splunkEmail,
  'splunk-file': splunkFile,
  'splunk-http': splunkHttp,
  'splunk-ip': splunkIp,
  squid,
  'suricata-domain': suricataDomain,
  'suricata-ip': suricataIp,
  'suricata-iprep': suricataIprep,
  'suricata-md5': suricataMd5,
  'suricata-sha256': suricataSha256,
  unbound,
  'wazuh-cdb': wazuhCdb,
  'yara-hash': yaraHash,
  'zeek-intel': zeekIntel,
} satisfies Record<string, Output>;
