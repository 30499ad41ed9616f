import { lockData } from './src/lock.ts';
import { readdirSync } from 'node:fs';
const a = lockData('/tmp/lk'); console.log(readdirSync('/tmp/lk'));
try { lockData('/tmp/lk'); } catch (e: any) { console.log(e.code, e.message); }
a.release(); a.release(); lockData('/tmp/lk').release(); console.log(readdirSync('/tmp/lk'));
try { lockData('/proc/x/y'); } catch (e: any) { console.log(e.code, e.message); }
try { lockData('/etc/passwd'); } catch (e: any) { console.log(e.code, e.message); }
