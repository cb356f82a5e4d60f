/**
 * What the operator changes about an account: how long texts are kept, which its devices and webhooks must hear, and
 * from which balance on it is warned. May be repeated.
 */
import { changeAccount, type AccountChange } from "../directory/accounts.ts";
import { endpointsOfAccount } from "../directory/endpoints.ts";
import { askEndpoint, identityOf, settingsOf, type EndpointTools } from "./endpoint-answer.ts";
import { tellDevices } from "./tell-devices.ts";

/** Null when there is no such account; else how many webhooks have not heard. Devices hear from the cron as well. */
export async function changeAccountSettings(
  tools: EndpointTools,
  accountId: number,
  change: AccountChange,
): Promise<{ unreached: number } | null> {
  if (!(await changeAccount(tools.db, accountId, change))) return null;
  if (change.textsKeptDays === undefined) return { unreached: 0 };
  await tellDevices(tools, accountId);
  let unreached = 0;
  for (const row of await endpointsOfAccount(tools.db, accountId)) {
    const told = await askEndpoint(() =>
      tools.endpoints.configure(identityOf(row), settingsOf(row)),
    );
    if (!told.ok) unreached += 1;
  }
  return { unreached };
}
