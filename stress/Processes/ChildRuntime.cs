namespace Collective.Stress.Processes;

/// <summary>How the runtime of a child works, as variables of its environment.</summary>
internal static class ChildRuntime
{
    /// <summary>As usual: during their first minute children compile again on the processors that they are measured on.</summary>
    public static readonly IReadOnlyDictionary<string, string> Usual = new Dictionary<string, string>();

    /// <summary>Each method is compiled for good at once, which makes a child start later.</summary>
    public static readonly IReadOnlyDictionary<string, string> CompileAtOnce = new Dictionary<string, string> { ["DOTNET_TieredPGO"] = "0", ["DOTNET_TC_QuickJit"] = "0" };

    /// <summary>No threads that come and go, to compile or to collect: the runtime ends a process to which the system refuses one.</summary>
    public static readonly IReadOnlyDictionary<string, string> NoLateThreads = new Dictionary<string, string> { ["DOTNET_TieredCompilation"] = "0", ["DOTNET_gcConcurrent"] = "0" };
}
