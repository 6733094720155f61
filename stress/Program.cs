using System.CommandLine;
using Collective.Stress.Bench;
using Collective.Stress.BenchSync;
using Collective.Stress.Churn;
using Collective.Stress.Demo;
using Collective.Stress.Recovery;

namespace Collective.Stress;

internal static class Program
{
    private static Task<int> Main(string[] arguments)
    {
        var root = new RootCommand("Collective with real processes: a demo, benchmarks, churn, and a measurement of recovery.")
        {
            DemoCommand.Create(),
            DemoCommand.CreatePeer(),
            BenchCommand.Create(),
            BenchCommand.CreatePeer(),
            KernelCommand.Create(),
            ChurnCommand.Create(),
            ChurnCommand.CreatePeer(),
            RecoveryCommand.Create(),
            RecoveryCommand.CreatePeer(),
            SyncBenchCommand.Create(),
            SyncBenchCommand.CreatePeer(),
        };
        return CommandLine.InvokeAsync(root, arguments);
    }
}
