namespace Collective.Daemon;

/// <summary>A setting is wrong. The message is one sentence that names the setting and where it was given.</summary>
internal sealed class UsageException(string message) : Exception(message);
