/** What the user has set for a conversation: mute, archive and pin. */
export function SettingsSection(_props: { id: string }) {
  return null
}
