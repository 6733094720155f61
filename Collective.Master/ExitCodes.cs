namespace Collective.Daemon;

/// <summary>What the process tells its parent. <c>docs/master.md</c> documents every value.</summary>
internal static class ExitCodes
{
    /// <summary>Stopped because SIGTERM or SIGINT asked for it, or only printed help or its version.</summary>
    public const int Ok = 0;

    /// <summary>A defect of Collective ended the master.</summary>
    public const int InternalError = 1;

    /// <summary>An argument, an environment variable or the configuration file is wrong; nothing was started.</summary>
    public const int Usage = 2;

    /// <summary>The address to listen on is in use.</summary>
    public const int AddressInUse = 3;

    /// <summary>The address cannot be listened on for any other reason: not of this machine, not permitted, unknown name.</summary>
    public const int CannotListen = 4;
}
