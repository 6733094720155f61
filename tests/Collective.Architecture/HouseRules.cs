namespace Collective.Architecture;

/// <summary>Section 1 and 2 of the house style as data. To change a rule, change the guide and this file in one commit.</summary>
internal static class HouseRules
{
    public const string Core = "Collective.Core";

    /// <summary>Folders with C# that is shipped.</summary>
    public static readonly string[] ProductFolders = [Core, "Collective.Master", "Collective.Native"];

    public const int MethodLinesMax = 70;
    public const int FileLinesMax = 450;
    public const int TestFileLinesMax = 700;

    /// <summary>
    /// Who may use whom inside Collective.Core. "Transport" in the guide's table means the folder with its implementations, except where the table says otherwise.
    /// </summary>
    public static readonly IReadOnlyDictionary<string, string[]> MayUse = new Dictionary<string, string[]>
    {
        ["Protocol"] = [],
        ["Kernels"] = [],
        ["Coordination"] = ["Protocol"],
        ["Transport"] = ["Protocol"],
        ["Transport/Tcp"] = ["Protocol", "Transport"],
        ["Transport/Tls"] = ["Protocol", "Transport"],
        ["Transport/InMemory"] = ["Protocol", "Transport"],
        ["Collectives"] = ["Protocol", "Kernels", LinkVocabulary],
        ["SharedState"] = ["Protocol", "Kernels", LinkVocabulary],
        ["Hosting"] = ["Protocol", "Coordination", "Transport", "Transport/Tcp", "Transport/Tls", "Transport/InMemory"],
        ["Client"] = ["Protocol", "Kernels", "Coordination", "Transport", "Transport/InMemory", "Collectives", "SharedState", "Hosting"],
    };

    /// <summary>Stands for the interfaces <see cref="LinkTypes"/> and the types of Transport/ that their members mention.</summary>
    public const string LinkVocabulary = "ILink";

    public static readonly string[] LinkTypes = ["Collective.Transport.ILink", "Collective.Transport.IStateConnections"];

    /// <summary>Rule 7: assertions are for all. Both live in Protocol/.</summary>
    public static readonly string[] ForAll = ["Collective.Protocol.Invariant", "Collective.Protocol.InvariantException"];

    /// <summary>Folders that do no IO, read no clock, start no thread, draw no randomness, log nothing.</summary>
    public static readonly string[] PureFolders = ["Protocol", "Coordination", "Kernels"];

    /// <summary>Folders whose types may be public: the façade and its vocabulary.</summary>
    public static readonly string[] PublicFolders = ["Client", "Protocol", "Kernels"];

    /// <summary>Namespaces and types that pure code must not touch; a namespace includes those below it.</summary>
    public static readonly string[] ImpureTypes =
    [
        "System.IO", "System.Net", "System.Threading", "System.Timers", "System.Diagnostics", "Microsoft.Extensions.Logging", "Microsoft.Win32",
        "System.Random", "System.Security.Cryptography", "System.Console", "System.TimeProvider", "System.Environment", "System.AppContext", "System.AppDomain",
        "System.GC", "System.Reflection", "System.Runtime.InteropServices.NativeLibrary", "System.Runtime.Loader",
    ];

    /// <summary>Single members that pure code must not touch.</summary>
    public static readonly string[] ImpureMembers =
    [
        "System.DateTime::get_UtcNow", "System.DateTime::get_Now", "System.DateTime::get_Today", "System.DateTimeOffset::get_UtcNow", "System.DateTimeOffset::get_Now",
        "System.Guid::NewGuid", "System.Guid::CreateVersion7", "System.TimeZoneInfo::get_Local", "System.Type::GetType", "System.Activator::CreateInstance",
    ];

    /// <summary>What falls under the two lists above and does none of those things.</summary>
    public static readonly string[] PureAfterAll =
    [
        // Values, not connections.
        "System.Net.IPAddress", "System.Net.IPEndPoint", "System.Net.EndPoint", "System.Net.Sockets.AddressFamily",
        // Written by the compiler into iterators and interpolated assertions.
        "System.Environment::get_CurrentManagedThreadId", "System.Environment::get_NewLine", "System.Reflection.DefaultMemberAttribute",
        "System.Activator::CreateInstance<T>",
        // A package of kernels with the namespace of another kind of thing.
        "System.IO.Hashing",
        // Statements about code, not actions.
        "System.Diagnostics.Debug", "System.Diagnostics.UnreachableException", "System.Diagnostics.CodeAnalysis", "System.Diagnostics.ConditionalAttribute",
        "System.Diagnostics.DebuggerDisplayAttribute", "System.Diagnostics.DebuggerBrowsableAttribute", "System.Diagnostics.DebuggerHiddenAttribute",
        "System.Diagnostics.DebuggerNonUserCodeAttribute", "System.Diagnostics.DebuggerStepThroughAttribute", "System.Diagnostics.StackTraceHiddenAttribute",
    ];

    /// <summary>Members that wait by letting time pass, and the places that may all the same: none.</summary>
    public static readonly string[] WaitingByTime = ["Thread.Sleep", "Thread.SpinWait", "Task.Delay", "SpinWait"];

    public static readonly string[] MayWaitByTime = [];

    /// <summary>Project references of what is shipped, and of the stress program.</summary>
    public static readonly IReadOnlyDictionary<string, string[]> ProjectMayUse = new Dictionary<string, string[]>
    {
        ["Collective.Core"] = [],
        ["Collective.Core.Gpu"] = ["Collective.Core"],
        ["Collective.Master"] = ["Collective.Core"],
        ["Collective.Native"] = ["Collective.Core"],
        ["stress"] = ["Collective.Core", "Collective.Core.Gpu", "Collective.Master", "Collective.Native"],
    };
}
